/// Tensors with a mode that counts samples, the first one unless it is stated.
extension Tensor {
  /// Returns the samples in a range: (range, rest...).
  ///
  /// - Parameter axis: the mode that counts the samples.
  package func samples(_ range: Range<Int>, axis: Int = 0) -> Tensor {
    var extents = shape
    extents[axis] = range.count
    let size = shape.dropFirst(axis + 1).reduce(1, *)
    guard axis > 0 else {
      return Tensor(
        shape: extents, elements: Array(elements[range.lowerBound * size..<range.upperBound * size]))
    }
    var result: [Scalar] = []
    result.reserveCapacity(extents.reduce(1, *))
    for outer in 0..<shape[..<axis].reduce(1, *) {
      let first = outer * shape[axis] * size
      result += elements[first + range.lowerBound * size..<first + range.upperBound * size]
    }
    return Tensor(shape: extents, elements: result)
  }

  /// Returns some samples in an order of their own: (indices, rest...).
  package func picked(_ indices: [Int], axis: Int = 0) -> Tensor {
    var extents = shape
    extents[axis] = indices.count
    let size = shape.dropFirst(axis + 1).reduce(1, *)
    var result: [Scalar] = []
    result.reserveCapacity(extents.reduce(1, *))
    for outer in 0..<shape[..<axis].reduce(1, *) {
      for index in indices {
        let first = (outer * shape[axis] + index) * size
        result += elements[first..<first + size]
      }
    }
    return Tensor(shape: extents, elements: result)
  }

  /// Puts the samples of all parts one after another.
  ///
  /// - Parameter axis: the mode that counts the samples.
  /// - Precondition: all parts have the same shape but for that mode. A single part may have any, and is taken as it is.
  package init(concatenatingSamples parts: [Tensor], axis: Int = 0) {
    guard parts.count != 1, let first = parts.first else {
      self = parts.first ?? Tensor(shape: [0], elements: [])
      return
    }
    var extents = first.shape
    extents[axis] = parts.reduce(0) { $0 + $1.shape[axis] }
    let size = extents.dropFirst(axis + 1).reduce(1, *)
    var result: [Scalar] = []
    result.reserveCapacity(extents.reduce(1, *))
    for outer in 0..<extents[..<axis].reduce(1, *) {
      for part in parts {
        let length = part.shape[axis] * size
        result += part.elements[outer * length..<(outer + 1) * length]
      }
    }
    self.init(shape: extents, elements: result)
  }

  /// The tensor with a mode in front of the others.
  package func moved(_ axis: Int) -> Tensor {
    axis == 0 ? self : permuted([axis] + shape.indices.filter { $0 != axis })
  }

  /// The inverse of `moved`: the first mode goes to the place `axis`.
  package func movedBack(_ axis: Int) -> Tensor {
    guard axis > 0 else { return self }
    return permuted(Array(1...axis) + [0] + Array(axis + 1..<order))
  }
}
