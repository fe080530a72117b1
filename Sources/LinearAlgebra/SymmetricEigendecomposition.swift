import COpenBLAS
import TensorCore

/// The eigendecomposition A = V^T diag(values) V of a symmetric n x n matrix.
///
/// Signs are fixed: in every eigenvector the element of largest magnitude, the first of equals, is positive.
public struct SymmetricEigendecomposition: Sendable {
  /// The n eigenvalues, descending.
  public let values: [Double]
  /// The eigenvectors (n x n): row i is that of value i.
  public let vectors: Tensor<Double>

  /// Reads the upper triangle only.
  ///
  /// - Throws: `Failure` when the matrix holds NaN or infinity, is too large for LAPACK, or dsyevd does not converge.
  /// - Precondition: `matrix` is square.
  public init(_ matrix: consuming Tensor<Double>) throws {
    let (ascending, rows) = try Self.solve(matrix, job: "V")
    let n = ascending.count
    values = ascending.reversed()
    var elements: [Double] = []
    elements.reserveCapacity(n * n)
    for row in (0..<n).reversed() {
      let vector = rows[row * n..<(row + 1) * n]
      let largest = vector.reduce(0) { abs($1) > abs($0) ? $1 : $0 }
      if largest < 0 { elements += vector.map { -$0 } } else { elements += vector }
    }
    vectors = Tensor(shape: [n, n], elements: elements)
  }

  /// The eigenvalues alone, descending; several times faster than with the vectors.
  ///
  /// - Throws: `Failure` when the matrix holds NaN or infinity, or LAPACK does not converge.
  public static func values(of matrix: consuming Tensor<Double>) throws -> [Double] {
    try solve(matrix, job: "N").values.reversed()
  }

  /// The matrix is used up: LAPACK works in its place.
  private static func solve(
    _ matrix: consuming Tensor<Double>, job: Unicode.Scalar
  ) throws -> (values: [Double], vectors: [Double]) {
    let shape = matrix.shape
    precondition(shape.count == 2 && shape[0] == shape[1], "\(shape) is not square")
    let count = shape[0]
    guard count > 0 else { return ([], []) }
    try LAPACK.requireFinite(matrix)
    let n = try LAPACK.extent(count)
    var a = (consume matrix).elements
    var w = [Double](repeating: 0, count: count)
    var work = [0.0]
    var integers: [Int32] = [0]
    for isQuery in [true, false] {
      if !isQuery {
        work = [Double](repeating: 0, count: try LAPACK.workspace(work[0]))
        integers = [Int32](repeating: 0, count: max(1, Int(integers[0])))
      }
      let size = isQuery ? -1 : try LAPACK.extent(work.count)
      let integerSize = isQuery ? -1 : try LAPACK.extent(integers.count)
      // Row-major 'upper' is column-major 'lower'; the eigenvectors are columns there and so rows here.
      let info = unsafe lapack_dsyevd(
        CChar(UInt8(ascii: job)), CChar(UInt8(ascii: "L")), n, &a, n, &w, &work, size, &integers,
        integerSize)
      try LAPACK.check("dsyevd", info)
    }
    return (w, a)
  }
}
