import ModelGraph

/// The tensors of a factored layer as PyTorch's `nn.Sequential` would name them.
///
/// The layer `conv1` becomes a sequence of modules, and the module at position p stores `conv1.p.weight` and `conv1.p.bias`.
/// The positions follow from the stages:
/// - every stage is a module and takes one position, from 0;
/// - a convolution stores `conv1.p.weight` in its own `kernelShape`;
/// - a permutation takes its position and stores nothing;
/// - a bias directly after a convolution with batch 1 is that convolution's own: `conv1.p.bias` at the convolution's position, and
///   takes none itself;
/// - any other bias takes a position and stores `conv1.p.bias`.
///
/// So CP, three convolutions and a bias, stores `conv1.0.weight`, `conv1.1.weight`, `conv1.2.weight`, `conv1.2.bias`.
package struct SequentialTensor: Equatable, Sendable {
  /// What a tensor is to its module.
  package enum Role: Equatable, Sendable {
    /// The weight of a convolution, counted among the convolutions of the stages.
    case weight(index: Int, shape: [Int])
    case bias
  }

  /// The position of the module that stores the tensor, from 0.
  package let position: Int
  /// What the tensor is to its module.
  package let role: Role

  /// The part of the tensor's name that follows the layer's name and a dot.
  package var suffix: String {
    switch role {
    case .weight: "\(position).weight"
    case .bias: "\(position).bias"
    }
  }
}

extension [Stage] {
  /// The tensors of the factored layer in the order of the stages.
  package var sequentialTensors: [SequentialTensor] {
    var tensors: [SequentialTensor] = []
    tensors.reserveCapacity(count)
    var position = 0
    var convolutionCount = 0
    var takesBias = false
    for stage in self {
      switch stage {
      case .convolution(let convolution):
        tensors.append(
          SequentialTensor(
            position: position,
            role: .weight(index: convolutionCount, shape: convolution.kernelShape)))
        convolutionCount += 1
        takesBias = convolution.batch == 1
      case .permutation:
        takesBias = false
      case .bias:
        if takesBias { position -= 1 }
        tensors.append(SequentialTensor(position: position, role: .bias))
        takesBias = false
      }
      position += 1
    }
    return tensors
  }
}
