import Inference
import TensorCore

/// What a batch normalisation found in a batch.
package struct BatchStatistics: Sendable {
  /// The mean of each channel.
  package let mean: [Double]
  /// The variance of each channel: the mean squared distance from its mean.
  package let variance: [Double]
  /// The count of numbers of each channel.
  package let count: Int

  init(_ input: Tensor<Float>, axis: Int) {
    let channels = input.shape[axis]
    count = input.count / max(1, channels)
    let part = 1 / Double(max(1, count))
    mean = input.channelSums(axis).map { $0 * part }
    variance = input.channelSquares(axis, around: mean.map { Float($0) }).map { $0 * part }
  }

  private init(mean: [Double], variance: [Double], count: Int) {
    (self.mean, self.variance, self.count) = (mean, variance, count)
  }

  /// The statistics of both batches together.
  package func joined(with other: BatchStatistics) -> BatchStatistics {
    let total = Double(max(1, count + other.count))
    let (a, b) = (Double(count) / total, Double(other.count) / total)
    return BatchStatistics(
      mean: zip(mean, other.mean).map { a * $0 + b * $1 },
      variance: mean.indices.map {
        let distance = mean[$0] - other.mean[$0]
        return a * variance[$0] + b * other.variance[$0] + a * b * distance * distance
      }, count: count + other.count)
  }

  /// 1 / sqrt(variance + epsilon).
  func scale(_ epsilon: Double) -> [Float] { variance.map { Float(1 / ($0 + epsilon).squareRoot()) } }
}
