import Basics
import LinearAlgebra
import ModelGraph
import TensorCore

/// W ~ sum_r A_r (x) B_r: the truncated SVD of Mat(W; a, b) is the best such sum (GKPD, section 2 of the papers' notes), so
/// the start is the fit and singular values alone tell the discrepancy. The low rank is the case where every mode
/// belongs to one factor entirely.
enum KroneckerSum {
  static let rankAxes = [[0], [0]]

  static func pattern(_ shapes: [[Int]], rank: Int) -> FactorPattern {
    FactorPattern(shapes: shapes, ranks: [rank], rankAxes: rankAxes)
  }

  /// The discrepancy of every rank that saves parameters.
  static func scores(of kernel: Tensor<Double>, shapes: [[Int]]) throws -> [Score] {
    let (rows, columns) = (shapes[0].reduce(1, *), shapes[1].reduce(1, *))
    let limit = min(min(rows, columns), (kernel.count - 1) / (rows + columns))
    guard limit >= 1 else { return [] }
    let matrix = pattern(shapes, rank: 1).rearranged(kernel)
    let gram =
      rows <= columns
      ? matrix.times(matrix, otherTransposed: true) : matrix.times(matrix, transposed: true)
    let values = try SymmetricEigendecomposition.values(of: gram)
    // From the smallest value up, so that small tails keep their digits.
    var tails = [Double](repeating: 0, count: values.count + 1)
    for i in values.indices.reversed() { tails[i] = tails[i + 1] + max(0, values[i]) }
    return (1...limit).map { rank in
      Score(
        pattern: pattern(shapes, rank: rank),
        discrepancy: tails[0] > 0 ? (tails[rank] / tails[0]).squareRoot() : 0)
    }
  }

  /// The best sum. The singular values are shared evenly, so that both factors have slices of equal norm.
  static func fit(_ kernel: Tensor<Double>, to pattern: FactorPattern) throws -> Fit {
    guard kernel.isFinite else { throw Failure.kernelNotFinite }
    let decomposition = try SingularValueDecomposition(pattern.rearranged(kernel))
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
    let factors = [left, right].enumerated().map {
      Tensor(shape: pattern.factorShape($0), elements: $1)
    }
    return Fit(factorization: Factorization(pattern, factors: factors), converged: true, note: "")
  }

  /// The convolution with B, once for each block of A's input channels, then the one with A, once for each of B's output
  /// channels and dilated by B's extents; A contracts its input channels and the rank together.
  static func lowering(of pattern: FactorPattern) -> Lowering {
    let (a, b, rank) = (pattern.shapes[0], pattern.shapes[1], pattern.ranks[0])
    let spatial = Array(2..<a.count)
    return Lowering([
      // (c1, c2) -> (c1, r f2)
      .convolution(
        kernelShape: [rank * b[0], b[1]] + b[2...], batch: a[1], factor: 1,
        order: [b.count, 0, 1] + spatial),
      // (c1 r, f2) -> (f2, c1 r)
      .permutation(axes: [a[1] * rank, b[0]], order: [1, 0]),
      // (f2, c1 r) -> (f2, f1)
      .convolution(
        kernelShape: [a[0], a[1] * rank] + a[2...], batch: b[0], factor: 0,
        order: [0, 1, a.count] + spatial),
      // Factor A's digit is the most significant: (f1, f2).
      .permutation(axes: [b[0], a[0]], order: [1, 0]),
    ])
  }

  /// Whether every mode belongs to one factor entirely, which makes the sum a low rank.
  static func isModeSplit(_ shapes: [[Int]]) -> Bool {
    zip(shapes[0], shapes[1]).allSatisfy { $0 == 1 || $1 == 1 }
  }
}
