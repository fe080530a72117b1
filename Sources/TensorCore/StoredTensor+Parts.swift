/// Numbers of large stored tensors, decoded a part at a time.
extension StoredTensor {
  /// What is decoded at once, in elements.
  private static let partElements = 1 << 20

  /// Returns a range along one mode.
  ///
  /// - Precondition: elements are whole bytes.
  package func samples(_ range: Range<Int>, axis: Int) -> StoredTensor {
    precondition(dtype.bits % 8 == 0, "elements of \(dtype.rawValue) share bytes")
    let size = shape.dropFirst(axis + 1).reduce(dtype.bits / 8, *)
    var extents = shape
    extents[axis] = range.count
    var taken: [UInt8] = []
    taken.reserveCapacity(extents[...axis].reduce(size, *))
    for outer in 0..<shape[..<axis].reduce(1, *) {
      let first = outer * shape[axis] * size
      taken += bytes[first + range.lowerBound * size..<first + range.upperBound * size]
    }
    return StoredTensor(name: name, dtype: dtype, shape: extents, bytes: taken)
  }

  /// The elements as numbers, with the modes in another order: a large tensor is not there in both orders at once.
  ///
  /// - Throws: As `decoded`.
  /// - Precondition: `order` is a permutation of the modes.
  package func decoded<Scalar: TensorScalar>(permuted order: [Int], as _: Scalar.Type = Scalar.self) throws -> Tensor<
    Scalar
  > {
    guard let rows = shape.first, dtype.bits % 8 == 0, shape.reduce(1, *) > Self.partElements else {
      return try decoded(as: Scalar.self).permuted(order)
    }
    let perRow = shape.dropFirst().reduce(1, *)
    let extents = order.map { shape[$0] }
    let place = order.inversePermutation[0]
    let (outer, inner) = (extents[..<place].reduce(1, *), extents[(place + 1)...].reduce(1, *))
    var elements = [Scalar](repeating: 0, count: rows * perRow)
    var target = elements.mutableSpan
    let step = max(1, Self.partElements / max(1, perRow))
    for first in stride(from: 0, to: rows, by: step) {
      let range = first..<min(first + step, rows)
      let part = try samples(range, axis: 0).decoded(as: Scalar.self).permuted(order)
      let source = part.elements.span
      let run = range.count * inner
      for block in 0..<outer {
        let to = (block * rows + first) * inner
        for i in 0..<run { target[to + i] = source[block * run + i] }
      }
    }
    return Tensor(shape: extents, elements: elements)
  }

  /// Whether all numbers are finite.
  ///
  /// - Precondition: The type is one of floating-point numbers that `decoded` reads.
  package var isFinite: Bool {
    let size = dtype.bits / 8
    let step = Self.partElements * size
    return stride(from: 0, to: bytes.count, by: step).allSatisfy { first in
      let part = Array(bytes[first..<min(first + step, bytes.count)])
      let values = try? StoredTensor(name: name, dtype: dtype, shape: [part.count / size], bytes: part)
        .decoded(as: Double.self)
      return values?.isFinite == true
    }
  }
}
