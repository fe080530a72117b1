import Foundation
import TensorCore

/// Makes logarithms of probabilities from an output with classes, softened so that every sample says how far its outputs moved: networks
/// are sure of what they were trained on, and a few samples near a border would decide about all (Hinton, Vinyals and Dean, 2015).
package struct Softening: Sendable {
  /// The count of classes.
  package let count: Int
  /// Whether the outputs are probabilities; else they are logits.
  package let areProbabilities: Bool
  /// The temperature by which logits are divided, 1 or more.
  package private(set) var temperature: Float = 1

  /// The mean entropy that softened outputs have, as a part of what it is at most.
  private static let entropy = 0.2
  private static let hottest: Float = 16

  /// Takes an output with classes: probabilities where its numbers are positive and sum to 1, else logits.
  ///
  /// - Parameter temperature: nil takes what softens these outputs.
  /// - Returns: nil for an output that has values.
  package init?(of output: Tensor<Float>, temperature given: Float? = nil) {
    guard case .classes(let count) = output.kind else { return nil }
    self.count = count
    areProbabilities =
      output.elements.allSatisfy { $0 >= 0 && $0 <= 1 }
      && stride(from: 0, to: output.count, by: count).allSatisfy { start in
        abs(output.elements[start..<start + count].reduce(0, +) - 1) < 1e-3
      }
    if let given {
      temperature = given
      return
    }
    // The temperature between 1 and the hottest that gives the entropy, by halving its logarithm.
    var (low, high) = (Float(1), Self.hottest)
    for _ in 0..<20 {
      temperature = (low * high).squareRoot()
      if entropy(of: output) < Self.entropy { low = temperature } else { high = temperature }
    }
    temperature = low
  }

  /// The same outputs without softening.
  package var plain: Softening {
    var result = self
    result.temperature = 1
    return result
  }

  private func entropy(of output: Tensor<Float>) -> Double {
    let logarithms = logarithms(output.elements)
    let sum = logarithms.reduce(0.0) { $0 - Double(exp($1) * $1) }
    return sum / (Double(max(1, output.shape[0])) * log(Double(count)))
  }

  /// The logarithms of the softened probabilities, class by class, in the order of the elements.
  package func logarithms(_ elements: [Float]) -> [Float] {
    var result = elements.map { (areProbabilities ? log(max($0, 1e-12)) : $0) / temperature }
    for start in stride(from: 0, to: elements.count, by: count) {
      let row = result[start..<start + count]
      let peak = row.max() ?? 0
      let sum = peak + log(row.reduce(0) { $0 + exp($1 - peak) })
      for i in row.indices { result[i] -= sum }
    }
    return result
  }

  /// The Kullback-Leibler divergence of an output's softened probabilities q from a target's p, sum p (log p - log q) over all
  /// samples, and the gradient q - p at the softened logits; at probabilities, the gradient there.
  ///
  /// - Parameters:
  ///   - target: logarithms of p; minus infinity where p is 0.
  ///   - output: the elements of the output, of the same count.
  package func divergence(from target: [Float], _ output: [Float]) -> (loss: Double, gradient: [Float]) {
    let logarithms = logarithms(output)
    var loss = 0.0
    var gradient = [Float](repeating: 0, count: target.count)
    for i in target.indices {
      if target[i] > -.infinity { loss += exp(Double(target[i])) * (Double(target[i]) - Double(logarithms[i])) }
      gradient[i] = exp(logarithms[i]) - exp(target[i])
    }
    return (loss, gradient)
  }
}
