import Basics
import Checkpoints
import Decompositions
import Inference
import ModelGraph
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

  var json: JSON {
    [
      "name": .string(name), "discrepancy": .optional(discrepancy, JSON.real),
      "promised": .real(promised),
    ]
  }

  /// Storing weights in the layer's dtype costs up to half an ulp for each of the stages.
  static func tolerance(_ dtype: DType) -> Double {
    switch dtype {
    case .bf16: 0x1p-6
    case .f16: 0x1p-9
    default: 1e-5
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

  /// The kernel that the parts in a compressed checkpoint stand for.
  ///
  /// - Throws: as `check`.
  func composed(in compressed: Checkpoint) throws -> Tensor<Double> { try weightsAndKernel(in: compressed).kernel }

  private func weightsAndKernel(
    in compressed: Checkpoint
  ) throws -> (weights: [Tensor<Double>], kernel: Tensor<Double>) {
    func damaged(_ reason: String) -> Failure {
      Failure(
        compressed.path, "layer '\(name)' cannot be checked", reason,
        remedy: "apply the plan again")
    }
    let weights = try parts.map { part -> Tensor<Double> in
      guard let layer = compressed.layers.first(where: { $0.name == part }) else {
        throw damaged("the record names '\(part)', which the file does not hold")
      }
      return try compressed.parameter(layer.kernel)
    }
    let convolutions = stages.convolutions
    guard weights.count == convolutions.count,
      zip(weights, convolutions).allSatisfy({ $0.count == $1.parameterCount })
    else { throw damaged("its parts do not have the shapes that the record states") }
    let shaped = zip(weights, convolutions).map { $0.reshaped($1.kernelShape) }
    guard let composed = ComposedKernel.compose(stages, weights: shaped, layer: convolution) else {
      throw damaged("its stages do not compose to a kernel of shape \(convolution.kernelShape)")
    }
    return (shaped, composed)
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
