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
  /// - Throws: `Failure` where the parts that the record names are missing or do not compose to a kernel.
  func check(in compressed: Checkpoint, original: Checkpoint?, seed: UInt64) throws -> LayerCheck {
    let (shaped, composed) = try weightsAndKernel(in: compressed)
    var discrepancy: Double?
    if let original, let originalLayer = original.layers.first(where: { $0.name == name }),
      originalLayer.kernelShape == convolution.kernelShape
    {
      discrepancy = composed.relativeDiscrepancy(from: try original.kernel(of: originalLayer))
    }
    return LayerCheck(
      name: name, structure: structure, discrepancy: discrepancy, promised: promised,
      execution: try Self.execution(stages, shaped, composed: composed, convolution, seed: seed))
  }

  /// The engine's output for the stages against its output for the dense convolution, on seeded random inputs.
  private static func execution(
    _ stages: [Stage], _ weights: [Tensor<Double>], composed: Tensor<Double>, _ dense: Convolution,
    seed: UInt64
  ) throws -> Double {
    var generator = SplitMix64(seed: seed)
    let extents = dense.spatialExtents.indices.map {
      (dense.spatialExtents[$0] - 1) * dense.window.dilation[$0] + 4
    }
    let input = Tensor<Float>(gaussian: [2, dense.inputChannels] + extents, using: &generator)
    let factored = try Engine(layer: stages, weights: weights, inputExtents: extents).run(["input": input])
    let reference = try Engine(
      layer: [.convolution(dense)], weights: [composed], inputExtents: extents
    ).run(["input": input])
    guard let output = factored.first, let expected = reference.first, output.shape == expected.shape
    else { return .infinity }
    return output.relativeDiscrepancy(from: expected)
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
