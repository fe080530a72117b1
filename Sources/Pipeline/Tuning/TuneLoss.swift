import Foundation
import TensorCore

/// What a network that learns is told about its outputs: to be the original's (distillation: Hinton, Vinyals and Dean, 2015), to fit labels or
/// targets, or both.
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

  /// - Parameters:
  ///   - examples: outputs of the original where there is one, else of the network itself.
  ///   - labelPart: 0 for none, 1 for labels alone.
  ///   - temperature: nil takes what softens the examples.
  init(examples: [Tensor<Float>], labelPart: Double, temperature: Double?) {
    measures = examples.map { output in
      guard output.order == 2, output.shape[1] > 1 else {
        let samples = max(1, output.shape.first ?? 1)
        return .values(max(1e-12, Float(output.squaredNorm / Double(samples))))
      }
      return .classes(Softening(of: output, temperature: labelPart == 1 ? 1 : temperature.map { Float($0) }))
    }
    labelFactor = Float(labelPart)
    originalFactor = Float(1 - labelPart)
  }

  /// The temperature of the first output with classes.
  var temperature: Double? {
    for case .classes(let softening) in measures { return Double(softening.temperature) }
    return nil
  }

  /// The sum over the samples, and its gradients at the outputs.
  ///
  /// - Parameters:
  ///   - original: the original's outputs on the same samples; nil where only targets teach.
  ///   - targets: probabilities of classes, or values, for the first output.
  func callAsFunction(
    _ outputs: [Tensor<Float>], original: [Tensor<Float>]?, targets: Tensor<Float>?
  ) -> (loss: Double, gradients: [Tensor<Float>]) {
    var loss = 0.0
    var gradients: [Tensor<Float>] = []
    for (index, output) in outputs.enumerated() {
      var gradient = [Float](repeating: 0, count: output.count)
      switch measures[index] {
      case .classes(let softening):
        if let expected = original?[index] {
          let temperature = softening.temperature
          loss += add(
            softening, output, softening.logarithms(expected.elements).map(exp),
            factor: originalFactor * temperature * temperature, to: &gradient)
        }
        if index == 0, let targets {
          let plain = Softening(of: output, temperature: 1, areProbabilities: softening.areProbabilities)
          loss += add(plain, output, targets.elements, factor: labelFactor, to: &gradient)
        }
      case .values(let size):
        let references = [(original?[index], originalFactor), (index == 0 ? targets : nil, labelFactor)]
        for case (let expected?, let factor) in references {
          for i in gradient.indices {
            let difference = output.elements[i] - expected.elements[i]
            loss += Double(factor * difference * difference / size)
            gradient[i] += 2 * factor * difference / size
          }
        }
      }
      gradients.append(Tensor(shape: output.shape, elements: gradient))
    }
    return (loss, gradients)
  }

  /// sum p (log p - log q), whose gradient at the logits is (q - p) / T.
  private func add(
    _ softening: Softening, _ output: Tensor<Float>, _ expected: [Float], factor: Float, to gradient: inout [Float]
  ) -> Double {
    let logarithms = softening.logarithms(output.elements)
    var loss = 0.0
    for i in expected.indices {
      if expected[i] > 0 { loss += Double(expected[i]) * (log(Double(expected[i])) - Double(logarithms[i])) }
      var slope = factor * (exp(logarithms[i]) - expected[i]) / softening.temperature
      // The logits of a probability are its logarithm.
      if softening.areProbabilities { slope /= max(output.elements[i], 1e-12) }
      gradient[i] += slope
    }
    return Double(factor) * loss
  }
}
