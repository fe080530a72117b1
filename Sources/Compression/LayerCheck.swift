import Basics
import Checkpoints
import Decompositions
import Inference
import ModelGraph
import Running
import TensorCore

/// What was measured of one compressed layer, from the weights that the file holds.
package struct LayerCheck: Sendable, Equatable {
  package let name: String
  package let structure: String
  /// ||W - What|| / ||W||; nil where the original is not at hand.
  package let discrepancy: Double?
  /// What the plan promised.
  package let promised: Double
  /// How far the factored layer, run stage by stage, is from the dense convolution with its composed kernel.
  package let execution: Double

  package var json: JSON {
    [
      "name": .string(name), "discrepancy": .optional(discrepancy, JSON.real),
      "promised": .real(promised),
    ]
  }

  /// What storing weights in a type may add to a discrepancy: up to half an ulp for each of the stages.
  static func tolerance(_ dtype: DType) -> Double {
    switch dtype {
    case .bf16: 0x1p-6
    case .f16: 0x1p-9
    case .f32, .f64: 1e-5
    // No float of the network is stored so: nothing is lost.
    case .bool, .u8, .i8, .i16, .u16, .i32, .u32, .i64, .u64, .c64, .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0,
      .f8e4m3fnuz, .f8e5m2fnuz:
      0
    }
  }
}

extension Record {
  /// The kernels that fitted factors stand for, by layer.
  func kernels(of replacements: [Replacement]) -> [String: Tensor<Double>] {
    let weights = Dictionary(replacements.map { ($0.layer, $0.weights) }) { first, _ in first }
    return Dictionary(
      uniqueKeysWithValues: layers.compactMap { layer in
        guard let own = weights[layer.name],
          let kernel = ComposedKernel.compose(layer.stages, weights: own, layer: layer.convolution)
        else { return nil }
        return (layer.name, kernel)
      })
  }

  /// Checks every compressed layer.
  ///
  /// - Throws: `Failure` where the parts that the record names are missing or do not compose to a kernel.
  package func checkLayers(
    in compressed: Checkpoint, original: Checkpoint?, seed: UInt64, workers: Workers, progress: ProgressHandler
  ) throws -> [LayerCheck] {
    let counter = Counter()
    return try workers.map(layers) { layer in
      let check = try layer.check(in: compressed, original: original, seed: seed)
      progress("check", counter.next(), of: layers.count, layer.name)
      return check
    }
  }
}

extension Record.LayerRecord {
  /// Measures the layer in a compressed checkpoint, against the original where it is given.
  ///
  /// Neither kernel is ever there as a whole in double precision: parts of them are compared and multiplied when they are made.
  ///
  /// - Throws: `Failure` where the parts that the record names are missing or do not compose to a kernel.
  func check(in compressed: Checkpoint, original: Checkpoint?, seed: UInt64) throws -> LayerCheck {
    let original = try original.flatMap { original in
      try original.layers.first { $0.name == name && $0.kernelShape == convolution.kernelShape }
        .map { try OriginalKernel($0, of: original, inParts: convolution.groups == 1) }
    }
    let weights = try weights(in: compressed)
    let kernel = try kernel(of: weights, in: compressed)
    var execution = try ExecutionCheck(convolution, stages, weights, seed: seed)
    var (squares, norm) = (0.0, 0.0)
    for inputs in kernel.slices {
      guard let slice = kernel.slice(inputs) else { throw doesNotCompose(in: compressed) }
      if let original {
        let part = try original.compared(slice, of: inputs, kernel)
        squares += part.distance
        norm += part.norm
      }
      try execution.add(slice, of: inputs)
    }
    let discrepancy = original.map { _ in
      norm > 0 ? (squares / norm).squareRoot() : (squares == 0 ? 0 : .infinity)
    }
    return LayerCheck(
      name: name, structure: structure, discrepancy: discrepancy, promised: promised,
      execution: execution.discrepancy)
  }
}

/// The kernel that a compressed layer is compared with.
private enum OriginalKernel {
  /// Parts of it are decoded when they are asked for.
  case stored(Checkpoint, Layer)
  /// Single precision holds what a file of single precision has.
  case single(Tensor<Float>)
  case double(Tensor<Double>)

  /// - Parameter inParts: whether the compressed layer has no groups either, whatever its record says.
  /// - Throws: `Failure` where the kernel cannot be read or is not finite.
  init(_ layer: Layer, of checkpoint: Checkpoint, inParts: Bool) throws {
    if inParts, checkpoint.hasParts(layer) {
      self = .stored(checkpoint, layer)
    } else if layer.dtype == .f64 {
      self = .double(try checkpoint.kernel(of: layer))
    } else {
      self = .single(try checkpoint.kernel(of: layer, as: Float.self))
    }
  }

  /// The squared distance of a slice of a composed kernel from the same part of this one, and the squared norm of that part.
  ///
  /// - Throws: `Failure` where the part cannot be read or is not finite.
  func compared(
    _ slice: Tensor<Double>, of inputs: Range<Int>, _ composed: ComposedKernel
  ) throws -> (distance: Double, norm: Double) {
    switch self {
    case .stored(let checkpoint, let layer):
      let part = try checkpoint.kernel(of: layer, mode: 1, range: inputs)
      return (slice.subtracting(part).squaredNorm, part.squaredNorm)
    case .single(let kernel): return composed.squaredDistance(slice, of: inputs, from: kernel)
    case .double(let kernel): return composed.squaredDistance(slice, of: inputs, from: kernel)
    }
  }
}

/// The engine's output for a layer's stages against its output for the dense convolution, on seeded random inputs. The dense one is
/// the sum of what parts of its kernel make of some input channels each.
private struct ExecutionCheck {
  private let dense: Convolution
  private let input: Tensor<Float>
  private let factored: Tensor<Float>
  private var expected: Tensor<Float>?

  /// - Throws: `Failure` where the stages cannot be run.
  init(_ layer: Convolution, _ stages: [Stage], _ weights: [Tensor<Double>], seed: UInt64) throws {
    let (dense, stages) = SharedDilation(of: layer, stages).removed(from: layer, stages)
    self.dense = dense
    var generator = SplitMix64(seed: seed)
    let extents = dense.spatialExtents.indices.map {
      (dense.spatialExtents[$0] - 1) * dense.window.dilation[$0] + 4
    }
    input = Tensor<Float>(gaussian: [2, dense.inputChannels] + extents, using: &generator)
    factored = try Engine(layer: stages, weights: weights, inputExtents: extents).run(["input": input])[0]
  }

  /// - Parameter slice: the kernel for these input channels (out, inputs, spatial...).
  /// - Throws: `Failure` where the convolution cannot be run.
  mutating func add(_ slice: Tensor<Double>, of inputs: Range<Int>) throws {
    let part = Convolution(kernelShape: slice.shape, window: dense.window, transposition: dense.transposition)
    let engine = try Engine(
      layer: [.convolution(part)], weights: [slice], inputExtents: Array(input.shape.dropFirst(2)))
    let output = try engine.run(["input": input.channels(inputs)])[0]
    expected = expected.map { $0.adding(output) } ?? output
  }

  /// How far the stages are from the convolution; infinite where they give another shape.
  var discrepancy: Double {
    guard let expected, expected.shape == factored.shape else { return .infinity }
    return factored.relativeDiscrepancy(from: expected)
  }
}

extension Tensor {
  /// Some channels of a value (samples, channels, ...).
  fileprivate func channels(_ range: Range<Int>) -> Tensor {
    let size = shape.dropFirst(2).reduce(1, *)
    let rows = (0..<shape[0]).flatMap { sample in
      elements[(sample * shape[1] + range.lowerBound) * size..<(sample * shape[1] + range.upperBound) * size]
    }
    return Tensor(shape: [shape[0], range.count] + shape.dropFirst(2), elements: rows)
  }
}

extension Engine {
  /// An engine for one factored layer without its bias: input and output are channels first.
  init(layer stages: [Stage], weights: [Tensor<Double>], inputExtents: [Int]) throws {
    let unbiased = stages.filter { if case .bias = $0 { false } else { true } }
    let inputs = unbiased.convolutions.first?.inputChannels ?? 0
    let graph = ModelGraph(
      stages: unbiased, layer: "layer", inputShape: [nil, inputs] + inputExtents.map { $0 },
      layout: .channelsFirst, factors: weights.indices.map { TensorReference("weight \($0)") },
      bias: nil)
    try self.init(graph) { reference in
      guard let index = reference.name.split(separator: " ").last.flatMap({ Int($0) }) else {
        throw Failure("layer", "has no weight", "'\(reference.name)' is unknown")
      }
      return reference.read(weights[index].converted(to: Float.self))
    }
  }
}
