import TensorCore

/// A matrix of which parts along its longer side are made when they are needed, so that it is never there as a whole.
package struct PartedMatrix {
  /// The count of rows.
  package let rows: Int
  /// The count of columns.
  package let columns: Int
  /// Parts begin and end at multiples of this.
  private let unit: Int
  private let part: (Range<Int>) throws -> Tensor<Double>

  /// What is made at once, in elements.
  private static let partElements = 1 << 21

  /// Whether parts are columns, not rows.
  package var isWide: Bool { rows <= columns }
  private var longer: Int { max(rows, columns) }
  private var shorter: Int { min(rows, columns) }

  /// A matrix of parts.
  ///
  /// - Parameters:
  ///   - unit: parts begin and end at multiples of it, of which the longer side is one.
  ///   - part: gives some columns (rows x range) where the matrix has no fewer columns than rows, else some rows (range x columns).
  package init(rows: Int, columns: Int, unit: Int = 1, part: @escaping (Range<Int>) throws -> Tensor<Double>) {
    self.rows = rows
    self.columns = columns
    self.unit = unit
    self.part = part
  }

  /// A matrix that is there.
  package init(_ matrix: Tensor<Double>) {
    let (rows, columns) = (matrix.shape[0], matrix.shape[1])
    self.init(rows: rows, columns: columns) { matrix.samples($0, axis: rows <= columns ? 1 : 0) }
  }

  /// Takes the parts one after the other.
  ///
  /// - Throws: what making a part throws.
  package func forEachPart(_ body: (Range<Int>, Tensor<Double>) throws -> Void) throws {
    let step = max(1, Self.partElements / max(1, shorter * unit)) * unit
    for first in stride(from: 0, to: longer, by: step) {
      let range = first..<min(first + step, longer)
      try body(range, part(range))
    }
  }

  /// The Gram matrix of the shorter side: M M^T of a wide matrix, M^T M of a tall one.
  ///
  /// - Throws: what making a part throws.
  package func gram() throws -> Tensor<Double> {
    let n = shorter
    var sum = [Double](repeating: 0, count: n * n)
    try forEachPart { _, part in BLAS.addGram(of: part, ofColumns: !isWide, to: &sum) }
    BLAS.mirror(&sum, n)
    return Tensor(shape: [n, n], elements: sum)
  }

  /// The images of vectors of the shorter side: M^T v of a wide matrix, M v of a tall one, (longer side x vectors).
  ///
  /// - Parameter vectors: one in each row.
  /// - Throws: what making a part throws.
  package func images(of vectors: Tensor<Double>) throws -> Tensor<Double> {
    let count = vectors.shape[0]
    var result = [Double](repeating: 0, count: longer * count)
    guard count > 0 else { return Tensor(shape: [longer, 0], elements: []) }
    try forEachPart { range, part in
      BLAS.gemm(
        isWide, true, m: range.count, n: count, k: shorter, a: part.elements, lda: part.shape[1],
        b: vectors.elements, ldb: shorter, c: &result, cOffset: range.lowerBound * count, ldc: count)
    }
    return Tensor(shape: [longer, count], elements: result)
  }

  /// ||M - L R^T|| / ||M||.
  ///
  /// - Parameters:
  ///   - left: L (rows x rank).
  ///   - right: R (columns x rank).
  /// - Throws: what making a part throws.
  package func discrepancy(of left: Tensor<Double>, _ right: Tensor<Double>) throws -> Double {
    let rank = left.shape[1]
    var (squares, norm) = (0.0, 0.0)
    try forEachPart { range, part in
      norm += part.squaredNorm
      var rest = part.elements
      let (m, n) = (part.shape[0], part.shape[1])
      BLAS.gemm(
        false, true, m: m, n: n, k: rank, alpha: -1, a: left.elements,
        aOffset: isWide ? 0 : range.lowerBound * rank, lda: max(1, rank), b: right.elements,
        bOffset: isWide ? range.lowerBound * rank : 0, ldb: max(1, rank), beta: 1, c: &rest, ldc: n)
      squares += Tensor(shape: part.shape, elements: rest).squaredNorm
    }
    return norm > 0 ? (squares / norm).squareRoot() : (squares == 0 ? 0 : .infinity)
  }
}
