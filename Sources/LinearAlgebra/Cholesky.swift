import Basics
import COpenBLAS
import TensorCore

/// The Cholesky factor of a symmetric positive definite n x n matrix A.
public struct Cholesky: Sendable {
  private let factor: [Double]
  /// The rows of the matrix.
  public let count: Int

  /// Factors A + ridge I; reads the upper triangle of A only.
  ///
  /// - Throws: `Failure` when A holds NaN or infinity, is too large for LAPACK, or A + ridge I is not positive definite.
  /// - Precondition: `matrix` is square.
  public init(_ matrix: Tensor<Double>, ridge: Double = 0) throws {
    precondition(
      matrix.order == 2 && matrix.shape[0] == matrix.shape[1], "\(matrix.shape) is not square")
    try LAPACK.requireFinite(matrix)
    count = matrix.shape[0]
    var a = matrix.elements
    for i in 0..<count { a[i * count + i] += ridge }
    if count > 0 {
      let n = try LAPACK.extent(count)
      let info = unsafe lapack_dpotrf(CChar(UInt8(ascii: "L")), n, &a, n)
      guard info == 0 else {
        throw Failure(
          "matrix", "has no Cholesky factor", "its leading minor of order \(info) is not positive",
          remedy: "expected a positive definite matrix")
      }
    }
    factor = a
  }

  /// L with A = L L^T: (n x n), row-major, zeros above the diagonal.
  public var lower: [Double] {
    var result = [Double](repeating: 0, count: count * count)
    for row in 0..<count {
      for column in 0...row { result[row * count + column] = factor[column * count + row] }
    }
    return result
  }

  /// X with X A = B for every row of B (rows x n): A is symmetric, so each row is a system of its own and nothing has to be
  /// transposed for column-major LAPACK.
  ///
  /// - Throws: `Failure` when B holds NaN or infinity or is too large for LAPACK.
  public func solve(rows b: Tensor<Double>) throws -> Tensor<Double> {
    precondition(b.order == 2 && b.shape[1] == count, "\(b.shape) does not fit order \(count)")
    guard b.count > 0 else { return b }
    try LAPACK.requireFinite(b)
    var x = b.elements
    let n = try LAPACK.extent(count)
    let info = unsafe lapack_dpotrs(
      CChar(UInt8(ascii: "L")), n, try LAPACK.extent(b.shape[0]), factor, n, &x, n)
    try LAPACK.check("dpotrs", info)
    return Tensor(shape: b.shape, elements: x)
  }
}
