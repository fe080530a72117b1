import TensorCore

extension [String: Tensor<Float>] {
  /// The Euclidean norm of all arrays together; the same whatever the order of the dictionary.
  package var jointNorm: Double {
    sorted { $0.key < $1.key }.reduce(0.0) { $0 + $1.value.squaredNorm }.squareRoot()
  }

  /// The same direction with a joint norm of at most `limit`.
  package func clipped(to limit: Double) -> [String: Tensor<Float>] {
    let norm = jointNorm
    guard norm > limit else { return self }
    let part = Float(limit / norm)
    return mapValues { $0.map { $0 * part } }
  }

  /// Adds arrays that have the same names and shapes.
  package mutating func add(_ others: [String: Tensor<Float>]) {
    for (name, other) in others { self[name] = removeValue(forKey: name)?.adding(other) ?? other }
  }
}
