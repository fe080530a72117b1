import Checkpoints
import Decompositions
import ModelGraph
import TensorCore

/// The kernels that a compressed checkpoint's factors stand for: an export of the original has them under names of its own, or scaled.
struct FactoredKernels {
  /// The layers that were compressed, each with its kernel (out, in / groups, spatial...).
  let all: [(layer: Record.LayerRecord, kernel: Tensor<Double>)]

  /// Composes the kernels of layers. A layer whose factors are not there as the record says is left out.
  init(_ factored: [Record.LayerRecord], of checkpoint: Checkpoint) {
    all = factored.compactMap { layer in
      let weights = layer.parts.compactMap {
        try? checkpoint.parameter(TensorReference("\($0).weight")) as Tensor<Double>
      }
      guard weights.count == layer.parts.count else { return nil }
      return ComposedKernel.compose(layer.stages, weights: weights, layer: layer.convolution).map { (layer, $0) }
    }
  }

  /// The name of the layer whose factors are nearest to a kernel, where they stand for a part of it at all.
  func layer(nearestTo kernel: Tensor<Double>) -> String? {
    let distances = all.filter { $0.kernel.shape == kernel.shape }.map { layer, own in
      (layer.name, own.subtracting(kernel).norm / kernel.norm)
    }
    return distances.filter { $0.1 < 0.999 }.min { $0.1 < $1.1 }?.0
  }
}
