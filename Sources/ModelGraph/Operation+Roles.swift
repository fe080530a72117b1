/// What a weight does in its operation.
public enum WeightRole: Sendable, Equatable {
  /// It is multiplied with many inputs: a kernel, or a matrix that is a value of the graph.
  case kernel
  /// It holds one number for each channel: a bias, a gain, a slope.
  case vector
  /// It is a stored mean or variance, of batches or fixed for good.
  case statistic(isOfBatch: Bool)
  /// It is never trained, because its operation has no gradients here: a weight of a recurrent layer.
  case fixed

  /// Whether the weight is a statistic that follows the batches.
  public var isOfBatch: Bool { self == .statistic(isOfBatch: true) }
}

extension Operation {
  /// Every weight that the operation reads, with what it does there. This is the one list of the weights of operations.
  public var roles: [(TensorReference, WeightRole)] {
    switch self {
    case .convolution(_, _, let kernel, let bias): return [(kernel, .kernel)] + vectors([bias])
    case .transposedConvolution(let convolution): return [(convolution.kernel, .kernel)] + vectors([convolution.bias])
    case .batchNormalization(_, _, let gamma, let beta, let mean, let variance):
      return vectors([gamma, beta]) + [mean, variance].map { ($0, .statistic(isOfBatch: true)) }
    case .layerNormalization(_, _, let gamma, let beta): return vectors([gamma, beta])
    case .normalization(_, let mean, let variance):
      return [mean, variance].map { ($0, .statistic(isOfBatch: false)) }
    case .parametricReLU(let slopes): return vectors([slopes])
    case .bias(let bias, _): return vectors([bias])
    case .array(let operation): return operation.roles
    case .activation, .pooling, .globalPooling, .padding, .cropping, .upsampling, .merge, .reshape, .permutation,
      .scaling, .repetition, .channelPermutation, .identity, .unsupported:
      return []
    }
  }

  /// Whether the operation has statistics that follow the batches.
  public var hasBatchStatistics: Bool { roles.contains { $0.1.isOfBatch } }

  /// The tensors of the checkpoint that the operation reads, in the order of `roles`.
  public var references: [TensorReference] { roles.map(\.0) }

  private func vectors(_ references: [TensorReference?]) -> [(TensorReference, WeightRole)] {
    references.compactMap { $0.map { ($0, .vector) } }
  }
}

extension ArrayOperation {
  /// See `Operation.roles`.
  fileprivate var roles: [(TensorReference, WeightRole)] {
    switch self {
    case .parameter(let reference, let shape): [(reference, shape.count { $0 > 1 } > 1 ? .kernel : .vector)]
    case .recurrent(let layer):
      ([layer.inputWeights, layer.hiddenWeights, layer.bias] as [TensorReference?]).compactMap {
        $0.map { ($0, .fixed) }
      }
    case .constant, .elementwise, .function, .shape, .size, .reshape, .flatten, .squeeze, .unsqueeze, .transpose,
      .expand, .tile, .filled, .range, .slice, .gather, .concatenate, .part, .pad, .depthToSpace, .spaceToDepth,
      .reduce, .extremum, .resize, .matrixProduct, .trailingSoftmax, .align, .gatherElements, .gatherPoints,
      .scatterElements, .scatterPoints, .top, .reverse, .triangle, .cumulativeSum, .maximumPlace, .gridSample, .einsum,
      .convolution:
      []
    }
  }
}
