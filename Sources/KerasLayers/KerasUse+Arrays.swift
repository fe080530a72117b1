import ModelGraph
import TensorCore

/// What the nodes of a use are put together from, with NumPy's semantics.
extension KerasUse {
  /// An extent of a value that is made.
  enum Extent {
    case fixed(Int)
    /// The product of some of a value's extents.
    case extents(String, [Int])
  }

  // MARK: Numbers and weights

  mutating func scalar(_ value: Double) -> String { literal(Literal(scalar: value)) }

  /// A weight as a value.
  ///
  /// - Parameters:
  ///   - expected: Its shape in the file; nil admits every extent.
  ///   - order: The order in which its axes are wanted.
  ///   - shape: How the ordered weight is seen.
  mutating func parameter(
    _ name: String, _ expected: [Int?], order: [Int]? = nil, as shape: [Int]? = nil
  ) throws -> String {
    let stored = try layer.weight(name, expected)
    let ordered = order.map { $0.map { stored.shape[$0] } } ?? stored.shape
    return append(
      .parameter(TensorReference(stored.name, permutation: order, shape: shape), shape: shape ?? ordered), [])
  }

  // MARK: Elements

  mutating func elementwise(_ kind: Elementwise, _ operands: String...) -> String {
    append(.elementwise(kind), operands)
  }

  mutating func function(_ function: ElementFunction, of value: String) -> String {
    append(.function(function), [value])
  }

  mutating func activated(_ value: String, _ activation: Activation) -> String {
    activation == .linear ? value : append(.activation(activation), [value])
  }

  /// The activation that the configuration names.
  mutating func activated(_ value: String) throws -> String { activated(value, try layer.activation("activation")) }

  /// Chooses the first value where the mask holds, and the other one elsewhere.
  mutating func select(_ mask: String, _ value: String, otherwise other: String) -> String {
    elementwise(.select, mask, value, other)
  }

  // MARK: Axes

  /// How many axes a value has.
  ///
  /// - Throws: `Failure` where that is unknown.
  func rank(of value: String) throws -> Int {
    guard let shape = shape(of: value) else {
      throw layer.failure("cannot be run", "the shape of its input is unknown")
    }
    return shape.count
  }

  /// An extent that has to be known.
  func extent(_ axis: Int, of value: String) throws -> Int {
    guard let shape = shape(of: value), let place = shape.place(axis), let extent = shape[place] else {
      throw layer.failure("cannot be run", "axis \(axis) of its input has no stated extent")
    }
    return extent
  }

  /// An axis of a value, counted from the front.
  func axis(_ axis: Int, of value: String) throws -> Int {
    let rank = try rank(of: value)
    let place = axis < 0 ? axis + rank : axis
    guard (0..<rank).contains(place) else {
      throw layer.failure("cannot be run", "its input has \(rank) axes, and it wants axis \(axis)")
    }
    return place
  }

  mutating func transpose(_ value: String, _ order: [Int]) -> String {
    order == Array(order.indices) ? value : append(.transpose(order: order), [value])
  }

  mutating func reduce(_ kind: Reduction, _ value: String, axes: [Int], keepsAxes: Bool = true) -> String {
    let axes = literal(Literal(axes))
    return append(.reduce(kind, keepsAxes: keepsAxes, ignoresMissingAxes: true), [value, axes])
  }

  mutating func expand(_ value: String, axes: [Int]) -> String {
    let axes = literal(Literal(axes))
    return append(.unsqueeze, [value, axes])
  }

  mutating func squeeze(_ value: String, axes: [Int]) -> String {
    let axes = literal(Literal(axes))
    return append(.squeeze, [value, axes])
  }

  /// The entries from `start` to before `end` along an axis, every `step`.
  mutating func slice(_ value: String, axis: Int, _ start: Int, _ end: Int, step: Int = 1) -> String {
    let bounds = [start, end, axis, step].map { literal(Literal([$0])) }
    return append(.slice, [value] + bounds)
  }

  mutating func reversed(_ value: String, axis: Int) -> String {
    slice(value, axis: axis, -1, Int(Int32.min), step: -1)
  }

  /// One entry along an axis, which goes.
  mutating func entry(_ index: Int, of value: String, axis: Int) -> String {
    let index = literal(Literal(scalar: Double(index)))
    return append(.gather(axis: axis), [value, index])
  }

  /// The same elements under other extents.
  mutating func reshape(_ value: String, _ extents: [Extent]) throws -> String {
    let isSame = extents.enumerated().allSatisfy { index, extent in
      if case .extents(value, [index]) = extent { true } else { false }
    }
    if isSame, shape(of: value)?.count == extents.count { return value }
    let known = extents.map(known)
    let open = known.filter { $0 == nil }.count
    if open <= 1 {
      let target = literal(Literal(known.map { $0 ?? -1 }))
      return append(.reshape(keepsZero: true), [value, target])
    }
    let target = shape(of: extents)
    return append(.reshape(keepsZero: true), [value, target])
  }

  /// Extents as a value, for operations that take them as one.
  mutating func shape(of extents: [Extent]) -> String {
    let parts = extents.map { extent in
      if let known = known(extent) { return literal(Literal([known])) }
      guard case .extents(let value, let axes) = extent else { preconditionFailure("a fixed extent is known") }
      let all = axes.map { append(.shape(axes: $0..<$0 + 1), [value]) }
      return all.dropFirst().reduce(all[0]) { elementwise(.multiply, $0, $1) }
    }
    return append(.concatenate(axis: 0), parts)
  }

  /// An extent that does not depend on the sample: that of the batch always does.
  private func known(_ extent: Extent) -> Int? {
    switch extent {
    case .fixed(let count): return count
    case .extents(let value, let axes):
      guard let shape = shape(of: value), !axes.contains(0) || axes.isEmpty else { return nil }
      return axes.reduce(1 as Int?) { product, axis in
        guard let product, shape.indices.contains(axis), let extent = shape[axis] else { return nil }
        return [product, extent].productIfExact
      }
    }
  }
}

extension [Int?] {
  /// An axis counted from the front; nil where there is none.
  fileprivate func place(_ axis: Int) -> Int? {
    let place = axis < 0 ? axis + count : axis
    return indices.contains(place) ? place : nil
  }
}
