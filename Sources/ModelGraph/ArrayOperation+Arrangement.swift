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
    let axes = Set(try operands[1].requiredIntegers("axes").map { try shape.axis($0) })
    guard axes.allSatisfy({ shape[$0] == 1 || shape[$0] == nil }) else {
      throw misfit("axes \(axes.sorted()) of \(shape.text) go away", "expected extents of 1 there")
    }
    return KnownValue(shape.indices.filter { !axes.contains($0) }.map { shape[$0] }, content: operands[0].content)
  }

  func sliced(_ operands: [KnownValue]) throws -> KnownValue {
    let shape = operands[0].shape
    guard let starts = operands[1].integers, let ends = operands[2].integers else {
      throw misfit("its bounds depend on the data", "expected numbers that follow from the inputs' shapes")
    }
    let axes =
      operands.count > 3
      ? try operands[3].requiredIntegers("axes").map { try shape.axis($0) } : Array(starts.indices)
    let steps =
      operands.count > 4 ? try operands[4].requiredIntegers("steps") : Array(repeating: 1, count: axes.count)
    guard axes.allSatisfy(shape.indices.contains) else { throw misfit("\(axes.count) bounds for \(shape.text)", nil) }
    guard starts.count == axes.count, ends.count == axes.count, steps.count == axes.count, !steps.contains(0),
      steps.allSatisfy({ abs($0) <= Int(Int32.max) })
    else { throw misfit("\(axes.count) axes, \(starts.count) starts, \(ends.count) ends, steps \(steps)", nil) }
    var result = shape
    for (i, axis) in axes.enumerated() {
      guard let extent = shape[axis], let start = starts[i], let end = ends[i] else {
        result[axis] = nil
        continue
      }
      result[axis] = SliceBounds(start: start, end: end, step: steps[i], extent: extent).count
    }
    guard let content = operands[0].content, shape.count == 1, let start = starts.first ?? nil,
      let end = ends.first ?? nil
    else { return KnownValue(result) }
    let bounds = SliceBounds(start: start, end: end, step: steps[0], extent: content.count)
    return KnownValue(result, content: (0..<bounds.count).map { content[bounds.first + $0 * steps[0]] })
  }

  func gathered(_ operands: [KnownValue], _ axis: Int) throws -> KnownValue {
    let (shape, indices) = (operands[0].shape, operands[1])
    let place = try shape.axis(axis)
    let result = Array(shape[..<place]) + indices.shape + Array(shape[(place + 1)...])
    guard let content = operands[0].content, shape.count == 1, let wanted = indices.integers else {
      return KnownValue(result)
    }
    return KnownValue(
      result,
      content: try wanted.map { index in
        guard let index else { return nil }
        let position = index < 0 ? index + content.count : index
        guard content.indices.contains(position) else {
          throw misfit("it takes element \(index) of \(content.count)", nil)
        }
        return content[position]
      })
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
    let contents = operands.compactMap(\.content)
    return KnownValue(
      result.replacing(place, total),
      content: contents.count == operands.count && first.count == 1 ? contents.flatMap(\.self) : nil)
  }

  func part(_ operands: [KnownValue], _ axis: Int, _ index: Int, of count: Int) throws -> KnownValue {
    let shape = operands[0].shape
    let place = try shape.axis(axis)
    guard operands.count > 1 else {
      // Equal parts, the last one smaller where they do not divide the axis.
      return KnownValue(
        shape.replacing(
          place,
          shape[place].map { extent in
            let size = (extent + count - 1) / count
            return Swift.max(0, Swift.min(size, extent - index * size))
          }))
    }
    let extents = try operands[1].requiredIntegers("parts")
    guard extents.count == count, extents.allSatisfy({ $0 >= 0 }), let total = extents.sumIfExact,
      shape[place].map({ $0 == total }) ?? true
    else { throw misfit("parts of \(extents) from \(shape.text)", "expected parts that make up axis \(place)") }
    var content: [Double?]?
    if shape.count == 1, let whole = operands[0].content, whole.count == total {
      let start = extents[..<index].reduce(0, +)
      content = Array(whole[start..<start + extents[index]])
    }
    return KnownValue(shape.replacing(place, extents[index]), content: content)
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
