extension Tensor {
  /// The sum, element by element.
  ///
  /// - Precondition: The other tensor has the same shape.
  @inlinable public func adding(_ other: Tensor) -> Tensor { combined(with: other) { $0 + $1 } }

  /// The difference, element by element.
  ///
  /// - Precondition: The other tensor has the same shape.
  @inlinable public func subtracting(_ other: Tensor) -> Tensor { combined(with: other) { $0 - $1 } }

  /// The product, element by element.
  ///
  /// - Precondition: The other tensor has the same shape.
  @inlinable public func multiplied(by other: Tensor) -> Tensor { combined(with: other) { $0 * $1 } }

  /// Every element combined with the one at its place.
  ///
  /// - Precondition: The other tensor has the same shape.
  @inlinable public func combined(with other: Tensor, _ combine: (Scalar, Scalar) -> Scalar) -> Tensor {
    precondition(shape == other.shape, "\(shape) and \(other.shape) differ")
    var result = elements
    var target = result.mutableSpan
    let source = other.elements.span
    for i in 0..<target.count { target[i] = combine(target[i], source[i]) }
    return Tensor(shape: shape, elements: result)
  }

  /// Every element combined with the value of its channel.
  ///
  /// - Parameters:
  ///   - values: one for each channel.
  ///   - axis: where the channels are; counts from the end where it is negative.
  @inlinable public func combined(
    with values: [Scalar], along axis: Int, _ combine: (Scalar, Scalar) -> Scalar
  ) -> Tensor {
    let axis = axis.normalizedAxis(rank: order)
    precondition(values.count == shape[axis], "\(values.count) values for the channels of \(shape)")
    let inner = shape[(axis + 1)...].reduce(1, *)
    var result = elements
    var target = result.mutableSpan
    var position = 0
    while position < target.count {
      for value in values {
        for _ in 0..<inner {
          target[position] = combine(target[position], value)
          position += 1
        }
      }
    }
    return Tensor(shape: shape, elements: result)
  }

  /// The sum of the diagonal of a square matrix.
  public var trace: Scalar { (0..<shape[0]).reduce(0) { $0 + elements[$1 * shape[1] + $1] } }

  /// A square matrix plus a multiple of the identity.
  public func addingToDiagonal(_ value: Scalar) -> Tensor {
    var elements = elements
    for i in 0..<shape[0] { elements[i * shape[1] + i] += value }
    return Tensor(shape: shape, elements: elements)
  }
}
