import Basics

extension Tensor {
  /// The tensor with its modes in another order: mode `n` of the result is mode `order[n]` of `self`.
  ///
  /// Modes that stay neighbours are merged first; what is left is copied in runs where the fastest mode stays
  /// in place, and in square tiles where it moves, so that reads and writes both stay in cache.
  ///
  /// - Precondition: `order` is a permutation of the modes.
  /// - Complexity: O(element count); no copy for the identity.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public func permuted(_ order: [Int]) -> Tensor {
    precondition(order.sorted() == Array(shape.indices), "\(order) is no permutation of \(shape)")
    let resultShape = order.map { shape[$0] }
    let (extents, strides) = mergedModes(order)
    guard extents.count > 1, count > 0 else {
      return Tensor(shape: resultShape, elements: elements)
    }
    var result = [Scalar](repeating: 0, count: count)
    let last = extents.count - 1
    if strides[last] == 1 {
      copyRuns(extents: extents, strides: strides, into: &result)
    } else {
      copyTiles(extents: extents, strides: strides, into: &result)
    }
    return Tensor(shape: resultShape, elements: result)
  }

  /// The result's modes, outermost first, as extents and strides into `self`, without singletons and with
  /// neighbours of both tensors merged.
  private func mergedModes(_ order: [Int]) -> (extents: [Int], strides: [Int]) {
    let sourceStrides = Self.strides(of: shape)
    var extents: [Int] = []
    var strides: [Int] = []
    for mode in order where shape[mode] != 1 {
      if let outer = strides.last, outer == sourceStrides[mode] * shape[mode] {
        extents[extents.count - 1] *= shape[mode]
        strides[strides.count - 1] = sourceStrides[mode]
      } else {
        extents.append(shape[mode])
        strides.append(sourceStrides[mode])
      }
    }
    return (extents, strides)
  }

  /// Copies planes of the two fastest modes of the result, of which the fastest is so in `self` too.
  private func copyRuns(extents: [Int], strides: [Int], into result: inout [Scalar]) {
    let last = extents.count - 1
    let (rows, run, rowStride) = (extents[last - 1], extents[last], strides[last - 1])
    let source = elements.span
    var span = result.mutableSpan
    var target = 0
    Self.forEachOffset(extents: extents[..<(last - 1)], strides: strides[..<(last - 1)]) { offset in
      var start = offset
      for _ in 0..<rows {
        for i in 0..<run { span[target + i] = source[start + i] }
        target += run
        start += rowStride
      }
    }
  }

  /// Transposes tiles over the result's fastest mode and the mode that is fastest in `self`.
  private func copyTiles(extents: [Int], strides: [Int], into result: inout [Scalar]) {
    let tile = 16
    let last = extents.count - 1
    let fast = strides.indices.min { strides[$0] < strides[$1] }.required("there are modes to copy")
    let targetStrides = Self.strides(of: extents)
    let outer = extents.indices.filter { $0 != last && $0 != fast }
    let (rows, rowSource, rowTarget) = (extents[fast], strides[fast], targetStrides[fast])
    let (columns, columnSource) = (extents[last], strides[last])
    var targets: [Int] = []
    Self.forEachOffset(
      extents: outer.map { extents[$0] }[...], strides: outer.map { targetStrides[$0] }[...]
    ) {
      targets.append($0)
    }
    let values = elements.span
    var span = result.mutableSpan
    var next = 0
    Self.forEachOffset(
      extents: outer.map { extents[$0] }[...], strides: outer.map { strides[$0] }[...]
    ) {
      source in
      let target = targets[next]
      next += 1
      for row0 in stride(from: 0, to: rows, by: tile) {
        for column0 in stride(from: 0, to: columns, by: tile) {
          for row in row0..<min(row0 + tile, rows) {
            for column in column0..<min(column0 + tile, columns) {
              span[target + row * rowTarget + column] = values[source + row * rowSource + column * columnSource]
            }
          }
        }
      }
    }
  }

  /// Calls `body` with the offset of every index over `extents`, the last mode fastest.
  private static func forEachOffset(
    extents: ArraySlice<Int>, strides: ArraySlice<Int>, _ body: (Int) -> Void
  ) {
    let extents = Array(extents)
    let strides = Array(strides)
    var index = Array(repeating: 0, count: extents.count)
    var offset = 0
    while true {
      body(offset)
      var mode = extents.count - 1
      while mode >= 0 {
        index[mode] += 1
        offset += strides[mode]
        if index[mode] < extents[mode] { break }
        offset -= strides[mode] * extents[mode]
        index[mode] = 0
        mode -= 1
      }
      if mode < 0 { return }
    }
  }
}

extension [Int] {
  /// The permutation that undoes this one: where every value stands.
  ///
  /// - Precondition: The array is a permutation of its indices.
  public var inversePermutation: [Int] {
    var inverse = self
    for (position, value) in enumerated() { inverse[value] = position }
    return inverse
  }
}
