import LinearAlgebra
import TensorCore

/// W ~ sum_r A_r (x) B_r: the truncated SVD of Mat(W; a, b) is the best such sum (GKPD, section 2 of the papers' notes), so
/// the start is the fit and singular values alone tell the discrepancy. The low rank is the case where every mode
/// belongs to one factor entirely.
enum KroneckerSum {
  static let rankAxes = [[0], [0]]
  /// Beyond so many elements a decomposition of the whole matrix takes several times its memory.
  private static let largest = 1 << 22

  /// The pattern of most ranks among at most this many parameters; nil where one rank has more, or saves nothing.
  static func pattern(_ shapes: [[Int]], parameters: Int) -> FactorPattern? {
    let perRank = shapes.reduce(0) { $0 + $1.reduce(1, *) }
    guard perRank <= parameters else { return nil }
    return FactorPattern(shapes: shapes, ranks: [parameters / perRank], rankAxes: rankAxes).clamped
  }

  /// One pattern for each choice of shapes, by ascending discrepancy; of equals, the one that stands first.
  static func proposals(
    _ choices: [[[Int]]], _ spectra: KernelSpectra, parameters: Int
  ) throws -> [FactorPattern] {
    let patterns = choices.compactMap { pattern($0, parameters: parameters) }
    let tails = try patterns.map { try spectra.tail(leading: $0.shapes[0], rank: $0.ranks[0]) }
    return patterns.indices.sorted { (tails[$0], $0) < (tails[$1], $1) }.map { patterns[$0] }
  }

  /// The best sum. The singular values are shared evenly, so that both factors have slices of equal norm.
  static func factors(_ kernel: Tensor<Double>, _ pattern: FactorPattern) throws -> Factorization {
    guard kernel.count <= largest else { return try largeFactors(kernel, pattern) }
    let decomposition = try SingularValueDecomposition(pattern.form.rearranged(kernel))
    let (rows, columns) = (pattern.modeCount(0), pattern.modeCount(1))
    let (rank, count) = (pattern.ranks[0], decomposition.values.count)
    var left = [Double](repeating: 0, count: rows * rank)
    var right = [Double](repeating: 0, count: columns * rank)
    for r in 0..<min(rank, count) {
      let scale = decomposition.values[r].squareRoot()
      for i in 0..<rows { left[i * rank + r] = scale * decomposition.u.elements[i * count + r] }
      for i in 0..<columns {
        right[i * rank + r] = scale * decomposition.vt.elements[r * columns + i]
      }
    }
    return Factorization(
      pattern,
      factors: [left, right].enumerated().map { Tensor(shape: pattern.factorShape($0), elements: $1) })
  }

  /// The same of a large kernel, from the Gram matrix of its smaller side: little more than the factors is held beside the kernel.
  /// Singular values below 1e-8 of the largest are lost to rounding.
  private static func largeFactors(_ kernel: Tensor<Double>, _ pattern: FactorPattern) throws -> Factorization {
    let (rows, columns) = (pattern.modeCount(0), pattern.modeCount(1))
    let (rank, found) = (pattern.ranks[0], min(pattern.ranks[0], rows, columns))
    let truncation = try Truncation(pattern.form.rearranged(kernel), rank: found)
    var left = [Double](repeating: 0, count: rows * rank)
    var right = [Double](repeating: 0, count: columns * rank)
    for r in 0..<found {
      let row = truncation.rest.elements[r * columns..<(r + 1) * columns]
      let value = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
      guard value > 0 else { continue }
      let scale = value.squareRoot()
      for i in 0..<rows { left[i * rank + r] = scale * truncation.basis.elements[i * found + r] }
      for (i, element) in row.enumerated() { right[i * rank + r] = element / scale }
    }
    return Factorization(
      pattern,
      factors: [left, right].enumerated().map { Tensor(shape: pattern.factorShape($0), elements: $1) })
  }
}
