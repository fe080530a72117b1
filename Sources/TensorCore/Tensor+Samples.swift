/// Tensors whose first mode counts samples.
extension Tensor {
  /// Returns the samples in a range: (range, rest...).
  package func samples(_ range: Range<Int>) -> Tensor {
    let size = shape.dropFirst().reduce(1, *)
    return Tensor(
      shape: [range.count] + shape.dropFirst(),
      elements: Array(elements[range.lowerBound * size..<range.upperBound * size]))
  }

  /// Returns some samples in an order of their own: (indices, rest...).
  package func picked(_ indices: [Int]) -> Tensor {
    let size = count / Swift.max(1, shape[0])
    var result: [Scalar] = []
    result.reserveCapacity(indices.count * size)
    for index in indices { result += elements[index * size..<(index + 1) * size] }
    return Tensor(shape: [indices.count] + shape.dropFirst(), elements: result)
  }

  /// Puts the samples of all parts one after another.
  ///
  /// - Precondition: all parts have the same shape behind the first mode.
  package init(concatenatingSamples parts: [Tensor]) {
    let rest = parts.first.map { Array($0.shape.dropFirst()) } ?? []
    self.init(shape: [parts.reduce(0) { $0 + $1.shape[0] }] + rest, elements: parts.flatMap(\.elements))
  }
}
