import Basics

/// A sum of products over named axes, as NumPy's einsum has it: `bij,bjk->bik`. Three dots stand for any number of axes, which
/// broadcast.
public struct EinsumEquation: Sendable, Equatable {
  /// The axes of one value: those before the dots, whether there are dots, those behind them.
  private struct Term: Sendable, Equatable {
    var before: [Character] = []
    var hasDots = false
    var after: [Character] = []

    var letters: [Character] { before + after }
  }

  private var operands: [Term]
  private var output: Term

  /// The axes of the operands and of the result as numbers. Equal numbers are the same axis; those that dots stand for are negative,
  /// -1 the last of them.
  public struct Axes: Sendable {
    /// One list for each operand.
    public var operands: [[Int]]
    /// The axes of the result.
    public var output: [Int]
  }

  /// The count of operands.
  public var operandCount: Int { operands.count }

  /// Reads an equation.
  ///
  /// - Throws: `Failure` with an empty subject for what is no equation.
  public init(_ text: String) throws {
    let text = String(text.filter { $0 != " " })
    let sides = text.components(separatedBy: "->")
    guard sides.count <= 2 else { throw Self.malformed(text) }
    operands = try sides[0].split(separator: ",", omittingEmptySubsequences: false).map { try Self.term($0, text) }
    let all = operands.flatMap(\.letters)
    if sides.count == 2 {
      output = try Self.term(Substring(sides[1]), text)
      guard Set(output.letters).count == output.letters.count, Set(output.letters).isSubset(of: all) else {
        throw Self.malformed(text)
      }
    } else {
      let counts = Dictionary(all.map { ($0, 1) }, uniquingKeysWith: +)
      output = Term(
        hasDots: operands.contains(where: \.hasDots), after: counts.filter { $0.value == 1 }.map(\.key).sorted())
    }
  }

  /// An equation over axes that are numbers; equal numbers are the same axis.
  public init(operands: [[Int]], output: [Int]) {
    let numbers = Set(operands.flatMap(\.self) + output).sorted()
    let letters = Dictionary(
      uniqueKeysWithValues: zip(numbers, (0...).lazy.compactMap { UnicodeScalar(0x100 + $0).map { Character($0) } }))
    self.operands = operands.map { Term(before: $0.compactMap { letters[$0] }) }
    self.output = Term(before: output.compactMap { letters[$0] })
  }

  private static func term(_ part: Substring, _ text: String) throws -> Term {
    let sides = String(part).components(separatedBy: "...")
    guard sides.count <= 2, sides.joined().allSatisfy({ $0.isASCII && $0.isLetter }) else { throw malformed(text) }
    return Term(before: Array(sides[0]), hasDots: sides.count == 2, after: sides.count == 2 ? Array(sides[1]) : [])
  }

  private static func malformed(_ text: String) -> Failure {
    misfit("'\(text)' is no equation", "expected letters as in 'ij,jk->ik'")
  }

  /// The axes for operands with so many of them.
  ///
  /// - Throws: `Failure` with an empty subject where an operand has another count of axes than the equation says.
  public func axes(ranks: [Int]) throws -> Axes {
    guard ranks.count == operands.count else { throw misfit("\(ranks.count) operands", "expected \(operands.count)") }
    var numbers: [Character: Int] = [:]
    for letter in operands.flatMap(\.letters) where numbers[letter] == nil { numbers[letter] = numbers.count }
    let dots = zip(operands, ranks).map { $1 - $0.letters.count }
    for (term, count) in zip(operands, dots) where term.hasDots ? count < 0 : count != 0 {
      throw misfit("an operand with \(count + term.letters.count) axes", "expected \(term.letters.count)")
    }
    let most = dots.max() ?? 0
    func axes(_ term: Term, _ count: Int) -> [Int] {
      let own = term.hasDots ? Array(-count..<0) : []
      return term.before.compactMap { numbers[$0] } + own + term.after.compactMap { numbers[$0] }
    }
    return Axes(operands: zip(operands, dots).map { axes($0, $1) }, output: axes(output, most))
  }

  /// The extent of every axis, where operands of extent 1 stretch.
  ///
  /// - Throws: `Failure` with an empty subject where extents differ.
  func extents(_ axes: Axes, _ shapes: [[Int?]]) throws -> [Int: Int?] {
    var extents: [Int: Int?] = [:]
    for (axes, shape) in zip(axes.operands, shapes) {
      for (axis, extent) in zip(axes, shape) {
        guard let known = extents[axis], known != 1 else {
          extents.updateValue(extent, forKey: axis)
          continue
        }
        guard extent == 1 || known.agrees(with: extent) else {
          throw misfit("\(shapes.map(\.text).joined(separator: " and ")) differ on an axis of the same name", nil)
        }
        if known == nil, extent != 1 { extents.updateValue(extent, forKey: axis) }
      }
    }
    return extents
  }

  func outputShape(_ shapes: [[Int?]]) throws -> [Int?] {
    let axes = try axes(ranks: shapes.map(\.count))
    let extents = try extents(axes, shapes)
    return axes.output.map { extents[$0] ?? nil }
  }

  /// Multiply-accumulates where the operands are contracted one after the other; nil where an extent is open.
  func macs(_ shapes: [[Int?]]) throws -> Int? {
    let axes = try axes(ranks: shapes.map(\.count))
    let extents = try extents(axes, shapes)
    var total = 0
    var current = Set(axes.operands[0])
    for (index, next) in axes.operands.enumerated().dropFirst() {
      current.formUnion(next)
      let sizes = current.compactMap { extents[$0] ?? nil }
      guard sizes.count == current.count, let count = sizes.productIfExact else { return nil }
      total += count
      current.formIntersection(axes.operands[(index + 1)...].flatMap(\.self) + axes.output)
    }
    return total
  }
}

extension String {
  /// The parts between the occurrences of a separator.
  fileprivate func components(separatedBy separator: String) -> [String] {
    var parts: [String] = []
    var rest = Substring(self)
    while let range = rest.firstRange(of: separator) {
      parts.append(String(rest[..<range.lowerBound]))
      rest = rest[range.upperBound...]
    }
    return parts + [String(rest)]
  }
}
