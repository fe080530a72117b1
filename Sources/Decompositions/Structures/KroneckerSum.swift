import LinearAlgebra
import TensorCore

/// W ~ sum_r A_r (x) B_r: the truncated SVD of Mat(W; a, b) is the best such sum (GKPD, section 2 of the papers' notes), so
/// the start is the fit and singular values alone tell the discrepancy. The low rank is the case where every mode
/// belongs to one factor entirely.
enum KroneckerSum {
  static let rankAxes = [[0], [0]]
  /// Beyond so many elements a decomposition of the whole matrix takes several times its memory.
  private static let largest = 1 << 22

  /// Whether a kernel of so many elements is decomposed in parts.
  static func isLarge(_ count: Int) -> Bool { count > largest }

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
    if isLarge(kernel.count) { return try factors(PartedMatrix(pattern.form.rearranged(kernel)), pattern) }
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

  /// The same of a large kernel, from the Gram matrix of its smaller side: little more than the factors is held beside what gives the parts.
  /// Singular values below 1e-8 of the largest are lost to rounding.
  static func factors(_ matrix: PartedMatrix, _ pattern: FactorPattern) throws -> Factorization {
    let rank = pattern.ranks[0]
    let vectors = try SymmetricEigendecomposition(matrix.gram()).vectors.leadingRows(rank)
    var shorter = vectors.permuted([1, 0]).elements
    var longer = try matrix.images(of: vectors).elements
    // An image is as long as its singular value.
    let values = sliceNorms(longer, rank)
    let least = 1e-12 * (values.max() ?? 0)
    let roots = values.map { $0 > least ? $0.squareRoot() : 0 }
    scaleSlices(&shorter, roots)
    scaleSlices(&longer, roots.map { $0 > 0 ? 1 / $0 : 0 })
    let factors = matrix.isWide ? [shorter, longer] : [longer, shorter]
    return Factorization(
      pattern, factors: factors.enumerated().map { Tensor(shape: pattern.factorShape($0), elements: $1) })
  }

  /// The norms of the columns of a matrix.
  private static func sliceNorms(_ elements: [Double], _ columns: Int) -> [Double] {
    var sums = [Double](repeating: 0, count: columns)
    var target = sums.mutableSpan
    let source = elements.span
    for start in stride(from: 0, to: source.count, by: max(1, columns)) {
      for r in 0..<columns { target[r] += source[start + r] * source[start + r] }
    }
    return sums.map { $0.squareRoot() }
  }

  private static func scaleSlices(_ elements: inout [Double], _ scales: [Double]) {
    var target = elements.mutableSpan
    let scales = scales.span
    for start in stride(from: 0, to: target.count, by: max(1, scales.count)) {
      for r in 0..<scales.count { target[start + r] *= scales[r] }
    }
  }
}
