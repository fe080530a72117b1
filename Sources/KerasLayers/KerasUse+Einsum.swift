import ModelGraph

/// Products of two values by Einstein's summation, as transpositions, one matrix product and reshapes.
extension KerasUse {
  /// The product of `x` and `y`, whose axes go by labels; labels that the result does not have are summed over.
  ///
  /// - Throws: `Failure` where the labels do not fit the values.
  mutating func contract(
    _ x: String, _ xLabels: [Character], _ y: String, _ yLabels: [Character], to labels: [Character]
  )
    throws -> String
  {
    guard Set(xLabels).count == xLabels.count, Set(yLabels).count == yLabels.count, Set(labels).count == labels.count,
      try rank(of: x) == xLabels.count, try rank(of: y) == yLabels.count,
      labels.allSatisfy({ xLabels.contains($0) || yLabels.contains($0) })
    else { throw layer.failure("cannot be run", "its equation does not fit its inputs or repeats a label") }
    let (x, xLabels) = summed(x, xLabels) { labels.contains($0) || yLabels.contains($0) }
    let (y, yLabels) = summed(y, yLabels) { labels.contains($0) || xLabels.contains($0) }
    let shared = xLabels.filter(yLabels.contains)
    let batch = shared.filter(labels.contains)
    let inner = shared.filter { !labels.contains($0) }
    let (left, right) = (xLabels.filter { !shared.contains($0) }, yLabels.filter { !shared.contains($0) })
    func axes(_ wanted: [Character], in all: [Character]) -> [Int] { wanted.compactMap { all.firstIndex(of: $0) } }

    // (batch..., left, inner) times (batch..., inner, right)
    let a = transpose(x, axes(batch + left + inner, in: xLabels))
    let b = transpose(y, axes(batch + inner + right, in: yLabels))
    let count = batch.count
    let (leftAxes, rightAxes) = (
      Array(count..<count + left.count), Array(count + inner.count..<count + inner.count + right.count)
    )
    let own = { (value: String) in (0..<count).map { Extent.extents(value, [$0]) } }
    // Without labels in common to the result, the left axes may stand as they are.
    let keepsLeft = batch.isEmpty && !left.isEmpty
    let leftExtents = keepsLeft ? leftAxes.map { Extent.extents(a, [$0]) } : [Extent.extents(a, leftAxes)]
    let innerOfLeft = Extent.extents(a, Array(count + left.count..<count + left.count + inner.count))
    let matrixA = try reshape(a, own(a) + leftExtents + [innerOfLeft])
    let matrixB = try reshape(
      b, own(b) + [.extents(b, Array(count..<count + inner.count)), .extents(b, rightAxes)])
    let product = append(.matrixProduct, [matrixA, matrixB])
    let result = try reshape(
      product, own(a) + leftAxes.map { .extents(a, [$0]) } + rightAxes.map { .extents(b, [$0]) })
    return transpose(result, axes(labels, in: batch + left + right))
  }

  /// A value without the axes of labels that nobody else has.
  private mutating func summed(
    _ value: String, _ labels: [Character], keeping isKept: (Character) -> Bool
  ) -> (String, [Character]) {
    let gone = labels.indices.filter { !isKept(labels[$0]) }
    guard !gone.isEmpty else { return (value, labels) }
    return (reduce(.sum, value, axes: gone, keepsAxes: false), labels.filter(isKept))
  }
}

/// An equation such as `abc,cd->abd`, whose dots stand for axes that both sides keep.
struct KerasEquation {
  let operands: [[Character]]
  let result: [Character]

  /// - Parameter ranks: How many axes each operand has.
  /// - Returns: nil where the text is no such equation.
  init?(_ text: String, ranks: [Int]) {
    let sides = text.filter { $0 != " " }.replacingEllipsis.split(separator: ">", omittingEmptySubsequences: false)
    guard sides.count == 2, sides[0].hasSuffix("-") else { return nil }
    let inputs = sides[0].dropLast().split(separator: ",", omittingEmptySubsequences: false).map(Array.init)
    guard inputs.count == ranks.count else { return nil }
    // Digits stand for the axes of the dots, of which there are at most ten.
    let counts = zip(inputs, ranks).map { $0.contains("0") ? $1 - $0.count + 1 : 0 }
    guard counts.allSatisfy({ (0...10).contains($0) }), let widest = counts.max() else { return nil }
    let dots = (0..<widest).map { Character(String($0)) }
    func expanded(_ labels: [Character], _ count: Int) -> [Character] {
      labels.flatMap { $0 == "0" ? Array(dots.suffix(count)) : [$0] }
    }
    operands = zip(inputs, counts).map(expanded)
    result = expanded(Array(sides[1]), widest)
    guard zip(operands, ranks).allSatisfy({ $0.count == $1 }), (operands + [result]).joined().allSatisfy({ $0.isLabel })
    else { return nil }
  }
}

extension Character {
  fileprivate var isLabel: Bool { isASCII && (isLetter || isNumber) }
}

extension String {
  /// With `0` in place of the dots.
  fileprivate var replacingEllipsis: String {
    split(separator: "...", omittingEmptySubsequences: false).joined(separator: "0")
  }
}
