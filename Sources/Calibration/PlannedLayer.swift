import Checkpoints
import Decompositions
import ModelGraph
import Rounding
import TensorCore

/// A layer of a plan with what shall become of it.
package struct PlannedLayer: Sendable {
  package let layer: Layer
  /// The factors that take the kernel's place; nil where the layer keeps its form and only stores its kernel otherwise.
  package let candidate: Candidate?
  /// How the weights are stored.
  package let storage: WeightStorage

  package init(layer: Layer, candidate: Candidate?, storage: WeightStorage = .float) {
    self.layer = layer
    self.candidate = candidate
    self.storage = storage
  }

  /// The structure's name, as records state it.
  package var structure: String { candidate?.structure ?? Replacement.dense }

  /// The stages that compute the layer.
  package var stages: [Stage] { candidate?.stages ?? layer.denseStages }

  /// The weights rounded to the layer's width, in a norm.
  ///
  /// - Parameters:
  ///   - fitted: what the candidate was fitted to; nil for the dense kernel.
  ///   - objectives: for each of the layer's groups the kernel and the norm.
  /// - Returns: nil where the weights are stored as floating-point numbers.
  /// - Throws: `Failure` where LAPACK does not converge.
  func rounded(_ fitted: FittedLayer?, towards objectives: [FitObjective]) throws -> RoundedLayer? {
    guard storage != .float else { return nil }
    if let candidate, let fitted {
      return try RoundedLayer(fitted, of: candidate, towards: objectives, storage: storage)
    }
    return try RoundedLayer(dense: objectives, of: layer.convolution, storage: storage)
  }
}

/// What a layer of a plan became.
package struct CompressedLayer: Sendable {
  /// The weights of the stages' convolutions, in their order and shapes.
  package let weights: [Tensor<Double>]
  /// The same as integers; empty where they are floating-point numbers.
  package let rounded: [RoundedTensor]
  /// ||W - What|| / ||W|| of the kernel.
  package let discrepancy: Double

  /// Factors, or integers for them.
  ///
  /// - Parameter kernel: the layer's own.
  package init(
    _ fitted: FittedLayer?, _ rounded: RoundedLayer?, of kernel: @autoclosure () throws -> Tensor<Double>
  ) rethrows {
    if let rounded {
      weights = rounded.weights.map(\.values)
      self.rounded = rounded.weights
      discrepancy = try rounded.discrepancy(from: kernel())
    } else {
      weights = try fitted?.weights ?? [kernel()]
      self.rounded = []
      discrepancy = fitted?.discrepancy ?? 0
    }
  }
}
