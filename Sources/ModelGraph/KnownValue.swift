import Basics

/// What is known of a value before the network runs.
struct KnownValue {
  /// The extents; nil for an open one.
  var shape: [Int?]
  /// The elements, row-major, where the value is a few numbers of the kind from which shapes are made; nil for an open one.
  var content: [Double?]?

  init(_ shape: [Int?], content: [Double?]? = nil) {
    self.shape = shape
    self.content = content.flatMap { $0.count <= Self.longest && shape.product == $0.count ? $0 : nil }
  }

  init(_ literal: Literal) {
    self.init(literal.shape, content: literal.values)
  }

  /// Content of more elements is not followed.
  static let longest = 4096

  /// The content of a value that is a single number; nil where that is open.
  var number: Double? { content?.count == 1 ? content?[0] : nil }

  /// The content as integers, nil for an open one; nil where not even their count is known.
  var integers: [Int?]? {
    if let content { return content.map { $0.flatMap(Int.init(clampingTruncated:)) } }
    guard shape.count == 1, let count = shape[0], count <= Self.longest else { return nil }
    return Array(repeating: nil, count: count)
  }

  /// The whole content as integers; nil where some of it is open.
  var knownIntegers: [Int]? { integers?.known }
}

extension KnownValue {
  /// The elements that steps along some axes reach, row-major; nil where the content is not known, or they are too many.
  ///
  /// - Parameters:
  ///   - extents: The count of steps along each axis.
  ///   - strides: What a step along each axis adds to the place of an element.
  ///   - offset: The place of the first element.
  /// - Precondition: All places are inside.
  func elements(_ extents: [Int], strides: [Int], from offset: Int = 0) -> [Double?]? {
    guard let content, let count = extents.productIfExact, count <= Self.longest else { return nil }
    guard count > 0 else { return [] }
    let places = zip(extents, strides).reduce([offset]) { places, axis in
      places.flatMap { place in (0..<axis.0).map { place + $0 * axis.1 } }
    }
    return places.map { content[$0] }
  }

  /// The strides of the value's axes; nil where an extent is open.
  var strides: [Int]? {
    shape.known.map { extents in
      extents.indices.map { axis in extents[(axis + 1)...].reduce(1) { $0.multipliedReportingOverflow(by: $1).0 } }
    }
  }

  /// The elements with axes of extent 1 stretched, aligned from the right.
  ///
  /// - Precondition: The shape broadcasts to `extents`.
  func elements(stretchedTo extents: [Int]) -> [Double?]? {
    guard let strides else { return nil }
    let missing = extents.count - shape.count
    return elements(
      extents, strides: extents.indices.map { $0 < missing || shape[$0 - missing] == 1 ? 0 : strides[$0 - missing] })
  }
}

extension KnownValue {
  /// What a reduction makes of the content; nil where some of it is open, or the result is no exact number.
  func reduced(along axes: Set<Int>, by kind: Reduction) -> [Double?]? {
    guard let extents = shape.known, let strides else { return nil }
    let order = extents.indices.filter { !axes.contains($0) } + axes.sorted()
    guard let moved = elements(order.map { extents[$0] }, strides: order.map { strides[$0] }) else { return nil }
    let values = moved.compactMap(\.self)
    let depth = axes.reduce(1) { $0 * extents[$1] }
    guard values.count == moved.count, depth > 0 else { return nil }
    let results = stride(from: 0, to: values.count, by: depth).map { kind.exact(values[$0..<$0 + depth]) }
    return results.contains(nil) ? nil : results
  }
}

extension Reduction {
  /// The reductions through which shape arithmetic goes; nil for all others.
  ///
  /// - Precondition: There is an element.
  fileprivate func exact(_ x: ArraySlice<Double>) -> Double? {
    switch self {
    case .sum: x.reduce(0, +)
    case .product: x.reduce(1, *)
    case .maximum: x.max()
    case .minimum: x.min()
    case .mean, .sumOfSquares, .l1, .l2, .logOfSum, .logOfSumOfExponentials: nil
    }
  }
}
