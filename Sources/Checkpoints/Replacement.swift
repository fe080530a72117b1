import ModelGraph
import TensorCore

/// A layer's new form: the stages that take its kernel's place and their weights.
package struct Replacement: Sendable {
  /// The name of the `Layer`.
  package let layer: String
  /// The name of the structure that the stages come from.
  package let structure: String
  /// The stages that take the place of the layer.
  package let stages: [Stage]
  /// One weight for every convolution among the stages, in their order, each of the convolution's `kernelShape`. The list is
  /// empty where only the size of the result matters.
  package let weights: [Tensor<Double>]

  /// Makes a replacement of its parts.
  package init(layer: String, structure: String = "", stages: [Stage], weights: [Tensor<Double>] = []) {
    self.layer = layer
    self.structure = structure
    self.stages = stages
    self.weights = weights
  }
}
