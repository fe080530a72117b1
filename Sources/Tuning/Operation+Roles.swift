import ModelGraph

/// What a weight does in its operation.
enum WeightRole: Equatable {
  case kernel
  /// Bias, gain, slope.
  case vector
  /// A stored mean or variance.
  case statistic(isOfBatch: Bool)

  var isOfBatch: Bool { self == .statistic(isOfBatch: true) }
}

extension Operation {
  /// Every weight that the operation reads, with what it does.
  var roles: [(TensorReference, WeightRole)] {
    switch self {
    case .convolution(_, _, let kernel, let bias): [(kernel, .kernel)] + vectors([bias])
    case .transposedConvolution(let convolution): [(convolution.kernel, .kernel)] + vectors([convolution.bias])
    case .batchNormalization(_, _, let gamma, let beta, let mean, let variance):
      vectors([gamma, beta]) + [mean, variance].map { ($0, .statistic(isOfBatch: true)) }
    case .normalization(_, let mean, let variance): [mean, variance].map { ($0, .statistic(isOfBatch: false)) }
    case .array(.parameter(let reference, let shape)):
      [(reference, shape.filter { $0 > 1 }.count > 1 ? .kernel : .vector)]
    case .array(.recurrent): references.map { ($0, .statistic(isOfBatch: false)) }
    default: vectors(references)
    }
  }

  private func vectors(_ references: [TensorReference?]) -> [(TensorReference, WeightRole)] {
    references.compactMap { $0.map { ($0, .vector) } }
  }
}
