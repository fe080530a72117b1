import Basics

/// The shapes of operations that move elements, and the content of those through which shape arithmetic goes.
extension ArrayOperation {
  func reshaped(_ data: KnownValue, _ target: [Int?]?, keepsZero: Bool) throws -> KnownValue? {
    guard let target else { return nil }
    let shape = data.shape
    var extents: [Int?] = []
    var open: Int?
    for (axis, extent) in target.enumerated() {
      if extent == -1 {
        guard open == nil else { throw misfit("\(target.text) has two open extents", nil) }
        open = axis
        extents.append(nil)
      } else if extent == 0, !keepsZero {
        guard axis < shape.count else { throw misfit("\(target.text) copies an extent that is not there", nil) }
        extents.append(shape[axis])
      } else {
        guard extent ?? 0 >= 0 else { throw misfit("\(target.text) is no shape", nil) }
        extents.append(extent)
      }
    }
    let rest = extents.indices.filter { $0 != open }.map { extents[$0] }
    if let total = shape.product, let known = rest.product {
      if let open {
        guard known > 0, total % known == 0 else { throw unequal(shape, target) }
        extents[open] = total / known
      } else if known != total {
        throw unequal(shape, target)
      }
    }
    return KnownValue(extents, content: data.content)
  }

  private func unequal(_ shape: [Int?], _ target: [Int?]) -> Failure {
    misfit("\(shape.text) cannot become \(target.text)", "expected the same count of elements")
  }

  func squeezed(_ operands: [KnownValue]) throws -> KnownValue? {
    let shape = operands[0].shape
    guard operands.count > 1 else {
      // An open extent may be 1 or not.
      guard shape.allSatisfy({ $0 != nil }) else { return nil }
      return KnownValue(shape.filter { $0 != 1 }, content: operands[0].content)
    }
    guard let places = operands[1].knownIntegers else {
      return operands[1].integers.map { KnownValue(Array(repeating: nil, count: max(0, shape.count - $0.count))) }
    }
    let axes = Set(try places.map { try shape.axis($0) })
    guard axes.allSatisfy({ shape[$0] == 1 || shape[$0] == nil }) else {
      throw misfit("axes \(axes.sorted()) of \(shape.text) go away", "expected extents of 1 there")
    }
    return KnownValue(shape.indices.filter { !axes.contains($0) }.map { shape[$0] }, content: operands[0].content)
  }

  func sliced(_ operands: [KnownValue]) throws -> KnownValue {
    let shape = operands[0].shape
    let rankOnly = KnownValue(shape.map { _ in nil })
    guard let starts = operands[1].integers, let ends = operands[2].integers else { return rankOnly }
    guard let places = operands.count > 3 ? operands[3].knownIntegers : Array(starts.indices),
      let steps = operands.count > 4 ? operands[4].knownIntegers : Array(repeating: 1, count: places.count)
    else { return rankOnly }
    let axes = try places.map { try shape.axis($0) }
    guard starts.count == axes.count, ends.count == axes.count, steps.count == axes.count, !steps.contains(0),
      steps.allSatisfy({ abs($0) <= Int(Int32.max) })
    else { throw misfit("\(axes.count) axes, \(starts.count) starts, \(ends.count) ends, steps \(steps)", nil) }
    var result = shape
    var strides = operands[0].strides
    var offset = 0
    for (i, axis) in axes.enumerated() {
      guard let extent = shape[axis], let start = starts[i], let end = ends[i] else {
        result[axis] = nil
        strides = nil
        continue
      }
      let bounds = SliceBounds(start: start, end: end, step: steps[i], extent: extent)
      result[axis] = bounds.count
      if let stride = strides?[axis], bounds.count > 0 {
        offset += bounds.first * stride
        strides?[axis] = steps[i] * stride
      }
    }
    return KnownValue(
      result,
      content: result.known.flatMap { extents in
        strides.flatMap { operands[0].elements(extents, strides: $0, from: offset) }
      })
  }

  func gathered(_ operands: [KnownValue], _ axis: Int) throws -> KnownValue {
    let (shape, indices) = (operands[0].shape, operands[1])
    let place = try shape.axis(axis)
    let result = Array(shape[..<place]) + indices.shape + Array(shape[(place + 1)...])
    guard let content = operands[0].content, let extents = shape.known, indices.content != nil,
      let wanted = indices.integers, result.product ?? .max <= KnownValue.longest
    else { return KnownValue(result) }
    let positions = try wanted.map { index -> Int? in
      guard let index else { return nil }
      let position = index < 0 ? index + extents[place] : index
      guard (0..<extents[place]).contains(position) else {
        throw misfit("it takes element \(index) of \(extents[place])", nil)
      }
      return position
    }
    let inner = extents[(place + 1)...].reduce(1, *)
    let outer = extents[..<place].reduce(1, *)
    var picked: [Double?] = []
    for i in 0..<outer {
      for position in positions {
        guard let position else {
          picked += Array(repeating: nil, count: inner)
          continue
        }
        let start = (i * extents[place] + position) * inner
        picked += content[start..<start + inner]
      }
    }
    return KnownValue(result, content: picked)
  }

  func concatenated(_ operands: [KnownValue], _ axis: Int) throws -> KnownValue {
    let first = operands[0].shape
    let place = try first.axis(axis)
    var total: Int? = 0
    var result = first
    for operand in operands {
      let shape = operand.shape
      guard shape.count == first.count,
        shape.indices.allSatisfy({ $0 == place || shape[$0] == nil || result[$0] == nil || shape[$0] == result[$0] })
      else { throw misfit("\(first.text) and \(shape.text) cannot be joined along axis \(place)", nil) }
      for other in shape.indices where other != place { result[other] = result[other] ?? shape[other] }
      total = shape[place].flatMap { extent in total.map { $0 + extent } }
    }
    let joined = result.replacing(place, total)
    let contents = operands.compactMap(\.content)
    guard contents.count == operands.count, joined.product ?? .max <= KnownValue.longest else {
      return KnownValue(joined)
    }
    // For every place on the axes before, a run of each operand.
    let outer = joined[..<place].compactMap(\.self).reduce(1, *)
    var elements: [Double?] = []
    for i in 0..<outer {
      for content in contents {
        let run = content.count / outer
        elements += content[i * run..<(i + 1) * run]
      }
    }
    return KnownValue(joined, content: elements)
  }

  func part(_ operands: [KnownValue], _ axis: Int, _ index: Int, of count: Int) throws -> KnownValue {
    let shape = operands[0].shape
    let place = try shape.axis(axis)
    func part(from start: Int, extent: Int) -> KnownValue {
      let result = shape.replacing(place, extent)
      let content = result.known.flatMap { extents in
        operands[0].strides.flatMap { operands[0].elements(extents, strides: $0, from: start * $0[place]) }
      }
      return KnownValue(result, content: content)
    }
    guard operands.count > 1 else {
      guard let extent = shape[place] else { return KnownValue(shape) }
      // Equal parts, the last one smaller where they do not divide the axis.
      let size = (extent + count - 1) / count
      return part(from: index * size, extent: Swift.max(0, Swift.min(size, extent - index * size)))
    }
    guard let extents = operands[1].knownIntegers else { return KnownValue(shape.replacing(place, nil)) }
    guard extents.count == count, extents.allSatisfy({ $0 >= 0 }), let total = extents.sumIfExact,
      shape[place].map({ $0 == total }) ?? true
    else { throw misfit("parts of \(extents) from \(shape.text)", "expected parts that make up axis \(place)") }
    guard shape[place] != nil else { return KnownValue(shape.replacing(place, extents[index])) }
    return part(from: extents[..<index].reduce(0, +), extent: extents[index])
  }

  func tiled(_ data: KnownValue, _ counts: KnownValue) throws -> KnownValue {
    let shape = data.shape
    guard let counts = counts.knownIntegers else { return KnownValue(shape.map { _ in nil }) }
    guard counts.count == shape.count, counts.allSatisfy({ $0 >= 0 }) else {
      throw misfit("\(counts) copies of \(shape.text)", "expected one count for each axis")
    }
    let result = try zip(shape, counts).map { try $0.times($1) }
    guard let extents = shape.known, let strides = data.strides else { return KnownValue(result) }
    // Every axis becomes two: the copies, which all lie at the same places, and the elements.
    return KnownValue(
      result,
      content: data.elements(
        zip(counts, extents).flatMap { [$0, $1] }, strides: strides.flatMap { [0, $0] }))
  }

  func blocks(_ shape: [Int?], _ block: Int, toSpace: Bool) throws -> KnownValue {
    guard shape.count == 4, (1...1 << 16).contains(block) else {
      throw misfit("blocks of \(block) in \(shape.text)", "expected 4 axes and a positive block")
    }
    let square = block * block
    var result = shape
    for (axis, factor) in zip([1, 2, 3], [square, block, block]) {
      guard let extent = shape[axis] else { continue }
      if (axis == 1) == toSpace {
        guard extent % factor == 0 else { throw misfit("\(factor) does not divide axis \(axis) of \(shape.text)", nil) }
        result[axis] = extent / factor
      } else {
        result[axis] = try shape[axis].times(factor)
      }
    }
    return KnownValue(result)
  }
}

/// Where a slice of an axis begins, and how many elements it has.
public struct SliceBounds {
  /// The place of the slice's first element.
  public let first: Int
  /// The elements of the slice.
  public let count: Int

  /// Starts and ends may count from the end and lie outside, as NumPy allows.
  ///
  /// - Precondition: `step` is not 0.
  public init(start: Int, end: Int, step: Int, extent: Int) {
    func clamped(_ place: Int) -> Int {
      let counted = place < 0 ? (place < -extent ? -1 : place + extent) : place
      return step > 0 ? Swift.min(Swift.max(counted, 0), extent) : Swift.min(Swift.max(counted, -1), extent - 1)
    }
    let (from, to) = (clamped(start), clamped(end))
    first = from
    count = step > 0 ? Swift.max(0, (to - from + step - 1) / step) : Swift.max(0, (from - to - step - 1) / -step)
  }
}

extension [Int] {
  fileprivate var sumIfExact: Int? {
    reduce(0 as Int?) { total, next in
      let sum = total?.addingReportingOverflow(next)
      return sum.flatMap { $0.overflow ? nil : $0.partialValue }
    }
  }
}
