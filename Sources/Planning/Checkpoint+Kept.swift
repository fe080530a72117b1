import Checkpoints
import ModelGraph
import Plans
import TensorCore

extension Checkpoint {
  /// The tensors that are no layer's kernel, with the reason why they stay as they are.
  var keptTensors: [PlanDocument.KeptTensor] {
    let kernels = Set(layers.map(\.kernel.name))
    let biases = Dictionary(layers.compactMap { layer in layer.bias.map { ($0.name, layer.name) } }) { first, _ in first
    }
    return tensors.filter { !kernels.contains($0.name) }.map { tensor in
      let reason =
        if let layer = biases[tensor.name] {
          "the bias of layer '\(layer)'"
        } else if tensor.isMatrix {
          Self.unsupported
        } else {
          tensor.dtype.isCompressible ? "a vector has no structure" : "it does not hold weights"
        }
      return PlanDocument.KeptTensor(name: tensor.name, bytes: tensor.bytes.count, reason: reason)
    }
  }

  static let unsupported = "no layer that a structure could replace uses it"

  /// The layers and tensors that a structure might shrink, but not here: `--strict` does not put up with them.
  var skippedForWantOfSupport: [SkippedTensor] {
    layers.compactMap { layer in
      layer.couldGain ? layer.refusal.map { SkippedTensor(name: layer.name, reason: $0) } : nil
    }
      + keptTensors.filter { $0.reason == Self.unsupported }.map { SkippedTensor(name: $0.name, reason: $0.reason) }
  }
}

extension StoredTensor {
  /// Whether at least two modes have more than one element, and the elements could be weights.
  var isMatrix: Bool { dtype.isCompressible && shape.count { $0 > 1 } > 1 }
}

extension Layer {
  /// Whether some structure has fewer parameters than the kernel. A depthwise kernel shares nothing between channels.
  fileprivate var couldGain: Bool {
    let out = convolution.kernelShape[0]
    let rest = convolution.parameterCount / max(1, out)
    return kind != .depthwiseConvolution && out + rest < out * rest
  }
}
