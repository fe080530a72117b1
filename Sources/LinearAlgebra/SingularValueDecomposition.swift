import COpenBLAS
import TensorCore

/// The thin singular value decomposition A = U diag(s) V^T of an m x n matrix, with k = min(m, n).
///
/// Signs are fixed: in every column of U the element of largest magnitude, the first of equals, is positive.
public struct SingularValueDecomposition: Sendable {
  /// The left singular vectors U: m x k, orthonormal columns.
  public let u: Tensor<Double>
  /// The k singular values: descending, never negative.
  public let values: [Double]
  /// The right singular vectors V^T: k x n, orthonormal rows.
  public let vt: Tensor<Double>

  /// Decomposes a matrix.
  ///
  /// - Throws: `Failure` when the matrix holds NaN or infinity, is too large for LAPACK, or dgesdd does not converge.
  /// - Precondition: `matrix` has order 2.
  public init(_ matrix: Tensor<Double>) throws {
    precondition(matrix.order == 2, "\(matrix.shape) is no matrix")
    let (m, n) = (matrix.shape[0], matrix.shape[1])
    let k = min(m, n)
    guard k > 0 else {
      u = Tensor(zeros: [m, 0])
      values = []
      vt = Tensor(zeros: [0, n])
      return
    }
    try LAPACK.requireFinite(matrix)
    // LAPACK is column-major: our row-major A is its A^T = V diag(s) U^T, so the two factors come back swapped and
    // nothing has to be transposed.
    let (rows, columns, rank) = (try LAPACK.extent(n), try LAPACK.extent(m), try LAPACK.extent(k))
    var a = matrix.elements
    var s = [Double](repeating: 0, count: k)
    var left = [Double](repeating: 0, count: n * k)
    var right = [Double](repeating: 0, count: k * m)
    var integers = [Int32](repeating: 0, count: 8 * k)
    var work = [0.0]
    for isQuery in [true, false] {
      if !isQuery { work = [Double](repeating: 0, count: try LAPACK.workspace(work[0])) }
      let size = isQuery ? -1 : try LAPACK.extent(work.count)
      let info = unsafe lapack_dgesdd(
        CChar(UInt8(ascii: "S")), rows, columns, &a, rows, &s, &left, rows, &right, rank, &work,
        size, &integers)
      try LAPACK.check("dgesdd", info)
    }
    Self.fixSigns(&right, &left, count: k)
    u = Tensor(shape: [m, k], elements: right)
    values = s
    vt = Tensor(shape: [k, n], elements: left)
  }

  /// U diag(s) V^T with the leading `rank` values, all by default: m x n.
  public func reconstructed(rank: Int? = nil) -> Tensor<Double> {
    let (m, k, n) = (u.shape[0], values.count, vt.shape[1])
    let kept = min(rank ?? k, k)
    var scaled = [Double](repeating: 0, count: m * kept)
    for row in 0..<m {
      for column in 0..<kept {
        scaled[row * kept + column] = u.elements[row * k + column] * values[column]
      }
    }
    return Tensor(shape: [m, kept], elements: scaled)
      .times(Tensor(shape: [kept, n], elements: Array(vt.elements[..<(kept * n)])))
  }

  /// Flips the columns of `u` (m x k) and the rows of `vt` (k x n) whose largest element in `u` is negative.
  private static func fixSigns(_ u: inout [Double], _ vt: inout [Double], count k: Int) {
    let (m, n) = (u.count / k, vt.count / k)
    for column in 0..<k {
      var largest = 0.0
      for row in 0..<m where abs(u[row * k + column]) > abs(largest) {
        largest = u[row * k + column]
      }
      guard largest < 0 else { continue }
      for row in 0..<m { u[row * k + column].negate() }
      for i in 0..<n { vt[column * n + i].negate() }
    }
  }
}
