import Foundation
import TensorCore

/// Makes logarithms of probabilities from an output with classes, softened so that every sample says how far its outputs moved: networks
/// are sure of what they were trained on, and a few samples near a border would decide about all (Hinton, Vinyals and Dean, 2015).
struct Softening: Sendable {
  /// Of classes.
  let count: Int
  let areProbabilities: Bool
  private(set) var temperature: Float = 1

  /// The mean entropy that softened outputs have, as a part of what it is at most.
  private static let entropy = 0.2
  private static let hottest: Float = 16

  /// Two axes, the second the classes: probabilities where they are positive and sum to 1, else logits.
  ///
  /// - Parameter temperature: nil takes what softens these outputs.
  init(of output: Tensor<Float>, temperature given: Float? = nil) {
    let count = output.shape[1]
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

  init(of output: Tensor<Float>, temperature: Float, areProbabilities: Bool) {
    count = output.shape[1]
    self.areProbabilities = areProbabilities
    self.temperature = temperature
  }

  private func entropy(of output: Tensor<Float>) -> Double {
    let logarithms = logarithms(output.elements)
    let sum = logarithms.reduce(0.0) { $0 - Double(exp($1) * $1) }
    return sum / (Double(max(1, output.shape[0])) * log(Double(count)))
  }

  func logarithms(_ elements: [Float]) -> [Float] {
    var result = elements.map { (areProbabilities ? log(max($0, 1e-12)) : $0) / temperature }
    for start in stride(from: 0, to: elements.count, by: count) {
      let row = result[start..<start + count]
      let peak = row.max() ?? 0
      let sum = peak + log(row.reduce(0) { $0 + exp($1 - peak) })
      for i in row.indices { result[i] -= sum }
    }
    return result
  }
}
