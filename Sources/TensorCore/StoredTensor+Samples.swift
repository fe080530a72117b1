/// Stored tensors whose first mode counts samples: parts are taken without decoding a number.
extension StoredTensor {
  /// Returns the first samples, at most `count`; nil takes all.
  package func firstSamples(_ count: Int?) -> StoredTensor {
    guard let count, let samples = shape.first, samples > count else { return self }
    let size = bytes.count / samples
    return StoredTensor(
      name: name, dtype: dtype, shape: [count] + shape.dropFirst(), bytes: Array(bytes[..<(count * size)]))
  }

  /// Returns some samples in an order of their own.
  package func picked(_ indices: some Collection<Int>) -> StoredTensor {
    let size = bytes.count / max(1, shape.first ?? 1)
    var taken: [UInt8] = []
    taken.reserveCapacity(indices.count * size)
    for index in indices { taken += bytes[index * size..<(index + 1) * size] }
    return StoredTensor(name: name, dtype: dtype, shape: [indices.count] + shape.dropFirst(), bytes: taken)
  }
}
