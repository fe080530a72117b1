import Basics
import Foundation
import TensorCore

/// How far outputs are from the original network's: the mean Kullback-Leibler divergence of the class probabilities for a classifier,
/// else the squared error as a part of the outputs' squared norm; summed over the outputs.
package struct OutputLoss: Sendable {
  private let reference: [Reference]
  private let outputs: [Tensor<Float>]
  /// Where each output has its samples; nil for one that stays as it lies.
  private let axes: [Int?]

  private enum Reference: Sendable {
    /// Logarithms of softened probabilities, samples x classes.
    case classes([Float], Softening)
    case values([Float], squaredNorm: Double)
  }

  /// - Parameters:
  ///   - outputs: those of the original network.
  ///   - axes: where each of them has its samples. An output stays as it lies, its samples on the first axis, where nothing is stated, and
  ///     where it holds no part for each sample.
  package init(_ outputs: [Tensor<Float>], axes: [Int?]? = nil) {
    self.axes = axes ?? outputs.map { _ in nil }
    let outputs = zip(outputs, self.axes).map { output, axis in axis.map(output.moved) ?? output }
    self.outputs = outputs
    reference = outputs.map { output in
      if let softening = Softening(of: output) {
        return .classes(softening.logarithms(output.elements), softening)
      }
      return .values(output.elements, squaredNorm: output.elements.reduce(0) { $0 + Double($1) * Double($1) })
    }
  }

  /// The loss of other outputs of the same shapes; infinite where one is no number.
  package func callAsFunction(_ outputs: [Tensor<Float>]) -> Double {
    let loss = zip(reference, samplesFirst(outputs)).reduce(0.0) { $0 + Self.loss($1.0, $1.1.elements) }
    return loss.isFinite ? max(0, loss) : .infinity
  }

  /// ||y - y_ref|| / ||y_ref|| over all outputs.
  package func discrepancy(_ others: [Tensor<Float>]) -> Double {
    var (distance, norm) = (0.0, 0.0)
    for (output, other) in zip(outputs, samplesFirst(others)) {
      for (a, b) in zip(output.elements, other.elements) {
        distance += (Double(a) - Double(b)) * (Double(a) - Double(b))
        norm += Double(a) * Double(a)
      }
    }
    return norm > 0 ? (distance / norm).squareRoot() : distance.squareRoot()
  }

  /// The top-1 agreement of the first output that has classes; nil where none has.
  package func agreement(_ others: [Tensor<Float>]) -> Double? {
    zip(outputs, samplesFirst(others)).lazy.compactMap { $1.agreement(with: $0) }.first
  }

  /// Gradients at some outputs whose second moment is the curvature of the loss there (Fisher's information): of the class that each sample
  /// would draw from its own probabilities, and of outputs without classes with random signs, as a part of their norm.
  package func gradients(of outputs: [Tensor<Float>], using generator: inout SplitMix64) -> [Tensor<Float>] {
    zip(zip(reference, axes), samplesFirst(outputs)).map { known, output in
      let (reference, axis) = known
      let gradient = gradient(reference, of: output, using: &generator)
      return axis.map(gradient.movedBack) ?? gradient
    }
  }

  private func samplesFirst(_ outputs: [Tensor<Float>]) -> [Tensor<Float>] {
    zip(outputs, axes).map { output, axis in axis.map(output.moved) ?? output }
  }

  private func gradient(
    _ reference: Reference, of output: Tensor<Float>, using generator: inout SplitMix64
  ) -> Tensor<Float> {
    switch reference {
    case .values(_, let squaredNorm):
      let size = Float(squaredNorm > 0 ? 1 / squaredNorm.squareRoot() : 1)
      return output.map { _ in generator.nextUniform() < 0.5 ? -size : size }
    case .classes(_, let softening):
      let count = softening.count
      var gradient = softening.logarithms(output.elements).map(exp)
      for start in stride(from: 0, to: gradient.count, by: count) {
        var left = Float(generator.nextUniform())
        let drawn =
          (0..<count).first {
            left -= gradient[start + $0]; return left <= 0
          } ?? count - 1
        gradient[start + drawn] -= 1
      }
      if softening.areProbabilities {
        for i in gradient.indices { gradient[i] /= max(output.elements[i], 1e-12) }
      }
      return Tensor(shape: output.shape, elements: gradient)
    }
  }

  private static func loss(_ reference: Reference, _ output: [Float]) -> Double {
    switch reference {
    case .values(let values, let squaredNorm):
      var sum = 0.0
      for i in values.indices { sum += pow(Double(output[i]) - Double(values[i]), 2) }
      return squaredNorm > 0 ? sum / squaredNorm : sum
    case .classes(let expected, let softening):
      return softening.divergence(from: expected, output).loss / Double(max(1, expected.count / softening.count))
    }
  }
}
