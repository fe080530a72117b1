import ModelGraph
import TensorCore

extension Operation {
  /// What a batch normalisation multiplies every channel by; nil for other operations.
  ///
  /// - Throws: `Failure` where its parameters differ in count.
  package func normalizationScale(_ parameter: (TensorReference) throws -> Tensor<Float>) throws -> [Float]? {
    guard case .batchNormalization(_, let epsilon, let gamma, _, let mean, let variance) = self else { return nil }
    return try ChannelAffine.normalization(
      epsilon: epsilon, gamma: gamma.map(parameter), beta: nil, mean: parameter(mean), variance: parameter(variance)
    ).scale
  }
}
