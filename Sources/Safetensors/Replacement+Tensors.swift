import Checkpoints
import ModelGraph

extension Replacement {
  /// The tensors that a replaced layer has, behind the layer's prefix. A layer that keeps its form keeps its bias too, which is not
  /// among them.
  var namedTensors: [(suffix: String, role: SequentialTensor.Role)] {
    guard !isDense else {
      return stages.convolutions.prefix(1).map { ("weight", .weight(index: 0, shape: $0.kernelShape)) }
    }
    return stages.sequentialTensors.map { ($0.suffix, $0.role) }
  }
}
