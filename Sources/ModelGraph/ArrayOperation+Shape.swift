import Basics

extension ArrayOperation {
  /// What follows about the output from what is known of the operands; nil where not even the count of axes does.
  ///
  /// - Throws: `Failure` with an empty subject when the operation does not fit its operands.
  func output(of operands: [KnownValue]) throws -> KnownValue? {
    guard operandCounts.contains(operands.count) else {
      throw misfit(
        "it has \(operands.count) operands", "expected \(operandCounts.lowerBound) to \(operandCounts.upperBound)")
    }
    switch self {
    case .constant(let literal): return KnownValue(literal)
    case .parameter(_, let shape): return KnownValue(shape)
    case .filled(let value):
      guard let extents = operands[0].integers else { return nil }
      guard extents.allSatisfy({ $0 ?? 0 >= 0 }) else { throw misfit("\(extents.text) is no shape", nil) }
      return KnownValue(
        extents,
        content: extents.product.flatMap { $0 <= KnownValue.longest ? Array(repeating: value, count: $0) : nil })
    case .range:
      let numbers = operands.compactMap(\.number)
      guard numbers.count == 3, numbers[2] != 0 else { return KnownValue([nil]) }
      let count = max(0, ((numbers[1] - numbers[0]) / numbers[2]).rounded(.up))
      guard count <= Double(Int32.max) else { throw misfit("a range of \(count) elements", "expected fewer") }
      return KnownValue(
        [Int(count)],
        content: Int(count) <= KnownValue.longest
          ? (0..<Int(count)).map { numbers[0] + Double($0) * numbers[2] } : nil)
    case .elementwise(let kind): return try kind.output(of: operands)
    case .function(let function):
      return KnownValue(operands[0].shape, content: operands[0].content.map { $0.map { $0.flatMap(function.exact) } })

    case .shape(let axes):
      let shape = operands[0].shape
      let range = axes.clamped(to: 0..<shape.count)
      return KnownValue([range.count], content: shape[range].map { $0.map(Double.init) })
    case .size: return KnownValue([], content: [operands[0].shape.count(without: []).map(Double.init)])
    case .reshape(let keepsZero): return try reshaped(operands[0], operands[1].integers, keepsZero: keepsZero)
    case .flatten(let axis):
      let shape = operands[0].shape
      let place = axis == shape.count ? axis : try shape.axis(axis)
      return KnownValue(
        [Array(shape[..<place]).product, Array(shape[place...]).product], content: operands[0].content)
    case .squeeze: return try squeezed(operands)
    case .unsqueeze:
      guard let axes = operands[1].knownIntegers else {
        return operands[1].integers.map {
          KnownValue(Array(repeating: nil, count: operands[0].shape.count + $0.count))
        }
      }
      let rank = operands[0].shape.count + axes.count
      let places = Set(try axes.map { try Array(repeating: Int?.none, count: rank).axis($0) })
      guard places.count == axes.count else { throw misfit("\(axes) repeats an axis", nil) }
      var rest = operands[0].shape[...]
      return KnownValue((0..<rank).map { places.contains($0) ? 1 : rest.removeFirst() }, content: operands[0].content)
    case .transpose(let order):
      let shape = operands[0].shape
      let order = order ?? shape.indices.reversed()
      guard order.sorted() == Array(shape.indices) else {
        throw misfit("\(order) is no order of its \(shape.count) axes", nil)
      }
      let moved = order.map { shape[$0] }
      let strides = operands[0].strides
      return KnownValue(
        moved,
        content: moved.known.flatMap { extents in
          strides.flatMap { strides in operands[0].elements(extents, strides: order.map { strides[$0] }) }
        })
    case .align(let axis): return KnownValue(try aligned(operands[0].shape, with: operands[1].shape, axis))
    case .expand:
      guard let extents = operands[1].integers else { return nil }
      guard extents.allSatisfy({ $0 ?? 0 >= 0 }) else { throw misfit("\(extents.text) is no shape", nil) }
      let shape = try Self.broadcast([operands[0].shape, extents])
      return KnownValue(shape, content: shape.known.flatMap { operands[0].elements(stretchedTo: $0) })
    case .tile: return try tiled(operands[0], operands[1])

    case .slice: return try sliced(operands)
    case .gather(let axis): return try gathered(operands, axis)
    case .concatenate(let axis): return try concatenated(operands, axis)
    case .part(let axis, let index, let count): return try part(operands, axis, index, of: count)
    case .gatherElements(let axis):
      return KnownValue(try elementsGathered(operands[0].shape, operands[1].shape, axis))
    case .gatherPoints(let batchAxes):
      return try pointsGathered(operands[0].shape, operands[1].shape, batchAxes: batchAxes).map { KnownValue($0) }
    case .scatterElements(let axis, _):
      return KnownValue(
        try elementsScattered(operands[0].shape, operands[1].shape, operands[2].shape, axis))
    case .scatterPoints:
      return KnownValue(try pointsScattered(operands[0].shape, operands[1].shape, operands[2].shape))
    case .top(let axis, _, _): return KnownValue(try topShape(operands, axis))
    case .reverse(let axis, let batchAxis):
      return KnownValue(try reversed(operands[0].shape, operands[1].shape, axis, batchAxis))
    case .triangle:
      guard operands[0].shape.count >= 2 else { throw misfit("\(operands[0].shape.text) is no matrix", nil) }
      return KnownValue(operands[0].shape)
    case .pad:
      let shape = operands[0].shape
      guard let stated = operands[1].knownIntegers, let axes = operands.count > 2 ? operands[2].knownIntegers : []
      else { return KnownValue(shape.map { _ in nil }) }
      let amounts = try Self.borders(stated, axes: operands.count > 2 ? axes : nil, rank: shape.count)
      guard amounts.count == 2 * shape.count, amounts.allSatisfy({ abs($0) <= Int(Int32.max) }) else {
        throw misfit("borders of \(amounts)", "expected two for each of \(shape.count) axes")
      }
      return KnownValue(
        try shape.indices.map { axis in
          guard let extent = shape[axis] else { return nil }
          let result = extent + amounts[axis] + amounts[axis + shape.count]
          guard result >= 0 else { throw misfit("axis \(axis) has \(extent) entries and loses more", nil) }
          return result
        })
    case .depthToSpace(let block, _): return try blocks(operands[0].shape, block, toSpace: true)
    case .spaceToDepth(let block): return try blocks(operands[0].shape, block, toSpace: false)

    case .cumulativeSum(let axis, _, _):
      _ = try operands[0].shape.axis(axis)
      return KnownValue(operands[0].shape)
    case .maximumPlace(let pooling, _): return KnownValue(try pooling.outputShape(of: operands[0].shape))
    case .reduce(let kind, let keepsAxes, let ignoresMissing):
      let shape = operands[0].shape
      guard let axes = operands.count > 1 ? operands[1].knownIntegers : [] else {
        return keepsAxes ? KnownValue(shape.map { _ in nil }) : nil
      }
      if axes.isEmpty && ignoresMissing { return KnownValue(shape) }
      let reduced = axes.isEmpty ? Set(shape.indices) : Set(try axes.map { try shape.axis($0) })
      return KnownValue(
        shape.indices.compactMap { reduced.contains($0) ? (keepsAxes ? .some(1) : nil) : .some(shape[$0]) },
        content: operands[0].reduced(along: reduced, by: kind))
    case .extremum(let axis, _, let keepsAxis):
      let shape = operands[0].shape
      let place = try shape.axis(axis)
      return KnownValue(shape.indices.compactMap { $0 == place ? (keepsAxis ? .some(1) : nil) : .some(shape[$0]) })
    case .resize(let resizing): return try resized(operands, resizing)
    case .gridSample: return KnownValue(try sampled(operands[0].shape, operands[1].shape))
    case .einsum(let equation): return KnownValue(try equation.outputShape(operands.map(\.shape)))
    case .convolution(let convolution):
      return KnownValue(try convolution.outputShape(operands[0].shape, kernel: operands[1].shape))
    case .matrixProduct: return KnownValue(try Self.product(operands[0].shape, operands[1].shape))
    case .trailingSoftmax(let axis, _):
      _ = try operands[0].shape.axis(axis)
      return KnownValue(operands[0].shape)
    case .recurrent(let layer): return try layer.output(of: operands[0].shape)
    }
  }

  private var operandCounts: ClosedRange<Int> {
    switch self {
    case .constant, .parameter: 0...0
    case .elementwise(.select): 3...3
    case .elementwise(.add), .elementwise(.minimum), .elementwise(.maximum), .elementwise(.mean), .concatenate:
      1...4096
    case .elementwise: 2...2
    case .range: 3...3
    case .slice: 3...5
    case .pad: 2...3
    case .scatterElements, .scatterPoints: 3...3
    case .einsum(let equation): equation.operandCount...equation.operandCount
    case .reshape, .unsqueeze, .expand, .align, .tile, .gather, .gatherElements, .gatherPoints, .top, .reverse, .resize,
      .gridSample, .convolution, .matrixProduct:
      2...2
    case .squeeze, .part, .reduce: 1...2
    case .recurrent(let layer): layer.operandCounts
    case .function, .shape, .size, .flatten, .transpose, .filled, .depthToSpace, .spaceToDepth, .extremum,
      .trailingSoftmax, .triangle, .cumulativeSum, .maximumPlace:
      1...1
    }
  }

  /// The common shape, aligned from the right, with 1 stretching.
  static func broadcast(_ shapes: [[Int?]]) throws -> [Int?] {
    let rank = shapes.map(\.count).max().required("an operation has an operand")
    let aligned = shapes.map { Array(repeating: 1, count: rank - $0.count) + $0 }
    return try (0..<rank).map { axis in
      var result: Int? = 1
      for shape in aligned where shape[axis] != 1 {
        guard let extent = shape[axis] else {
          if result == 1 { result = nil }
          continue
        }
        guard result == 1 || result == nil || result == extent else {
          throw misfit(
            "\(shapes.map(\.text).joined(separator: " and ")) differ", "expected equal shapes, or 1 where they differ")
        }
        result = extent
      }
      return result
    }
  }

  static func product(_ a: [Int?], _ b: [Int?]) throws -> [Int?] {
    guard !a.isEmpty, !b.isEmpty else { throw misfit("a number is no matrix", nil) }
    let left = a.count == 1 ? [1] + a : a
    let right = b.count == 1 ? b + [1] : b
    if let k = left[left.count - 1], let n = right[right.count - 2], k != n {
      throw misfit("\(a.text) times \(b.text)", "expected equal inner extents")
    }
    var result = try broadcast([Array(left.dropLast(2)), Array(right.dropLast(2))])
    if a.count > 1 { result.append(left[left.count - 2]) }
    if b.count > 1 { result.append(right[right.count - 1]) }
    return result
  }
}

extension RecurrentLayer {
  /// Data (steps, batch, features).
  func output(of data: [Int?]) throws -> KnownValue {
    guard data.count == 3 else { throw misfit("it has \(data.count) axes", "expected steps, batch and features") }
    return switch result {
    case .sequence: KnownValue([data[0], directions.count, data[1], hiddenCount])
    case .hidden, .cell: KnownValue([directions.count, data[1], hiddenCount])
    }
  }
}
