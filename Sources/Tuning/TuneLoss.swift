import Foundation
import Running
import TensorCore

/// What a network that learns is told: that its outputs be the original's (distillation: Hinton, Vinyals and Dean, 2015), that values inside it be
/// (hints: Romero et al., 2015), and that the first output fit labels or targets.
struct TuneLoss: Sendable {
  private enum Measure: Sendable {
    /// The Kullback-Leibler divergence of softened class probabilities, times the squared temperature, so that gradients keep their size.
    case classes(Softening)
    /// The squared error as a part of this mean squared norm of a sample.
    case values(Float)
  }

  private let measures: [Measure]
  /// What the labels' part is multiplied by, and the original's.
  private let labelFactor: Float
  private let originalFactor: Float
  /// The mean squared norms of samples' features, which come behind the outputs, and what the mean of their relative errors is multiplied by.
  private let featureSizes: [Float]
  private let featureFactor: Float

  /// - Parameters:
  ///   - examples: outputs of the original where there is one, else of the network itself.
  ///   - labelPart: 0 for none, 1 for labels alone.
  ///   - temperature: nil takes what softens the examples.
  ///   - features: examples of the original's values inside.
  ///   - featureFactor: how much these count.
  init(
    examples: [Tensor<Float>], labelPart: Double, temperature: Double?, features: [Tensor<Float>] = [],
    featureFactor: Double = 0
  ) {
    measures = examples.map { output in
      let temperature = labelPart == 1 ? 1 : temperature.map { Float($0) }
      return Softening(of: output, temperature: temperature).map(Measure.classes) ?? .values(output.meanSquaredNorm)
    }
    labelFactor = Float(labelPart)
    originalFactor = Float(1 - labelPart)
    featureSizes = features.map(\.meanSquaredNorm)
    self.featureFactor = Float(featureFactor)
  }

  /// The temperature of the first output with classes.
  var temperature: Double? {
    for case .classes(let softening) in measures { return Double(softening.temperature) }
    return nil
  }

  /// The sum over the samples, and its gradients at the outputs.
  ///
  /// - Parameters:
  ///   - outputs: features may follow the outputs, or be missing here and in `original`.
  ///   - original: the original's outputs on the same samples; nil where only targets teach.
  ///   - targets: probabilities of classes, or values, for the first output.
  func callAsFunction(
    _ outputs: [Tensor<Float>], original: [Tensor<Float>]?, targets: Tensor<Float>?
  ) -> (loss: Double, gradients: [Tensor<Float>]) {
    var loss = 0.0
    var gradients: [Tensor<Float>] = []
    for (index, output) in outputs.enumerated() {
      var gradient = [Float](repeating: 0, count: output.count)
      guard index < measures.count else {
        let feature = index - measures.count
        if let expected = original?[index] {
          loss += addSquaredError(
            output, expected, factor: featureFactor / (featureSizes[feature] * Float(featureSizes.count)), to: &gradient
          )
        }
        gradients.append(Tensor(shape: output.shape, elements: gradient))
        continue
      }
      switch measures[index] {
      case .classes(let softening):
        if let expected = original?[index] {
          let temperature = softening.temperature
          loss += add(
            softening, output, softening.logarithms(expected.elements),
            factor: originalFactor * temperature * temperature, to: &gradient)
        }
        if index == 0, let targets {
          loss += add(softening.plain, output, targets.elements.map(log), factor: labelFactor, to: &gradient)
        }
      case .values(let size):
        let references = [(original?[index], originalFactor), (index == 0 ? targets : nil, labelFactor)]
        for case (let expected?, let factor) in references {
          loss += addSquaredError(output, expected, factor: factor / size, to: &gradient)
        }
      }
      gradients.append(Tensor(shape: output.shape, elements: gradient))
    }
    return (loss, gradients)
  }

  private func addSquaredError(
    _ output: Tensor<Float>, _ expected: Tensor<Float>, factor: Float, to gradient: inout [Float]
  ) -> Double {
    var sum = 0.0
    for i in gradient.indices {
      let difference = output.elements[i] - expected.elements[i]
      sum += Double(difference * difference)
      gradient[i] += 2 * factor * difference
    }
    return Double(factor) * sum
  }

  /// The divergence from `expected`, logarithms of probabilities, times a factor; its gradient at the logits is (q - p) / T.
  private func add(
    _ softening: Softening, _ output: Tensor<Float>, _ expected: [Float], factor: Float, to gradient: inout [Float]
  ) -> Double {
    let (loss, slopes) = softening.divergence(from: expected, output.elements)
    for i in slopes.indices {
      var slope = factor * slopes[i] / softening.temperature
      // The logits of a probability are its logarithm.
      if softening.areProbabilities { slope /= max(output.elements[i], 1e-12) }
      gradient[i] += slope
    }
    return Double(factor) * loss
  }
}

extension Tensor where Scalar == Float {
  /// The squared norm of one sample on average; above 0.
  fileprivate var meanSquaredNorm: Float { max(1e-12, Float(squaredNorm / Double(Swift.max(1, shape.first ?? 1)))) }
}
