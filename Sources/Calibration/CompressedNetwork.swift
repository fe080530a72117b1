import Decompositions
import ModelGraph
import Rounding
import TensorCore

/// The layers of a plan with their factors, and the network that they make.
struct CompressedNetwork: Sendable {
  let planned: [PlannedLayer]
  /// Nil for layers that keep their dense kernel.
  var layers: [FittedLayer?]
  /// What the planned layers were rounded to, by their names.
  var rounded: [String: RoundedLayer] = [:]
  /// The kernels of layers that stay dense, fitted to the inputs that they get now, by the layers' names.
  var kernels: [String: Tensor<Double>] = [:]
  /// Biases and means that make up for what compression does to the mean of a layer's output, by their references.
  var offsets: [TensorReference: Tensor<Double>] = [:]
  var weights: NetworkWeights

  mutating func set(_ index: Int, _ layer: FittedLayer) {
    layers[index] = layer
    weights = weights.replacing(planned[index].layer, by: layer.reconstruct())
  }

  /// A layer's factors after a few more sweeps.
  ///
  /// - Precondition: the layer has factors.
  /// - Throws: `Failure` where LAPACK does not converge.
  func refitted(
    _ index: Int, towards objective: FitObjective, kernel: Tensor<Double>, sweeps: Int
  ) throws -> FittedLayer {
    guard let candidate = planned[index].candidate, let layer = layers[index] else {
      preconditionFailure("layer '\(planned[index].layer.name)' has no factors")
    }
    return try candidate.refit(layer, towards: objective, kernel: kernel, sweeps: sweeps)
  }

  mutating func set(_ layer: Layer, _ rounded: RoundedLayer) {
    self.rounded[layer.name] = rounded
    weights = weights.replacing(layer, by: rounded.kernel)
  }

  mutating func set(_ layer: Layer, _ kernel: Tensor<Double>) {
    kernels[layer.name] = kernel
    weights = weights.replacing(layer, by: kernel)
  }

  mutating func set(_ offset: LayerOffset, _ values: Tensor<Double>) {
    offsets[offset.tensor] = values
    weights = weights.replacing(offset.tensor, by: values)
  }
}
