import Decompositions
import ModelGraph
import TensorCore

/// A layer of a plan with what shall become of it.
struct PlannedLayer: Sendable {
  let layer: Layer
  let candidate: Candidate
}

/// The layers of a plan with their factors, and the network that they make.
struct CompressedNetwork: Sendable {
  let planned: [PlannedLayer]
  var layers: [FittedLayer]
  /// The kernels of layers that stay dense, fitted to the inputs that they get now, by the layers' names.
  var kernels: [String: Tensor<Double>] = [:]
  /// Biases and means that make up for what compression does to the mean of a layer's output, by their references.
  var offsets: [TensorReference: Tensor<Double>] = [:]
  var weights: NetworkWeights

  mutating func set(_ index: Int, _ layer: FittedLayer) {
    layers[index] = layer
    weights = weights.replacing(planned[index].layer, by: layer.reconstruct())
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
