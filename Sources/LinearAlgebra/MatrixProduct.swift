import COpenBLAS
import TensorCore

extension Tensor where Scalar: BLASScalar {
  /// op(self) op(other) for matrices, where op transposes what it is told to.
  ///
  /// - Precondition: both have order 2 and the inner extents agree.
  public func times(
    _ other: Tensor, transposed: Bool = false, otherTransposed: Bool = false
  ) -> Tensor {
    precondition(order == 2 && other.order == 2, "\(shape) and \(other.shape) are no matrices")
    let (m, k) = transposed ? (shape[1], shape[0]) : (shape[0], shape[1])
    let (inner, n) = otherTransposed ? (other.shape[1], other.shape[0]) : (other.shape[0], other.shape[1])
    precondition(k == inner, "inner extents \(k) and \(inner) differ")
    var product = [Scalar](repeating: 0, count: m * n)
    BLAS.gemm(
      transposed, otherTransposed, m: m, n: n, k: k, a: elements, lda: Swift.max(1, shape[1]),
      b: other.elements, ldb: Swift.max(1, other.shape[1]), c: &product, ldc: Swift.max(1, n))
    return Tensor(shape: [m, n], elements: product)
  }

  /// A A^T of an m x n matrix A (m x m), or A^T A where it is taken over the columns (n x n): half the work of a product.
  ///
  /// - Precondition: the order is 2.
  public func gram(ofColumns: Bool = false) -> Tensor {
    precondition(order == 2, "\(shape) is no matrix")
    let n = ofColumns ? shape[1] : shape[0]
    var product = [Scalar](repeating: 0, count: n * n)
    BLAS.addGram(of: self, ofColumns: ofColumns, to: &product)
    BLAS.mirror(&product, n)
    return Tensor(shape: [n, n], elements: product)
  }
}

extension BLAS {
  /// Adds the upper triangle of A A^T to a matrix (m x m), or of A^T A (n x n) where it is taken over the columns.
  static func addGram<Scalar: BLASScalar>(of matrix: Tensor<Scalar>, ofColumns: Bool, to sum: inout [Scalar]) {
    let (n, k) = ofColumns ? (matrix.shape[1], matrix.shape[0]) : (matrix.shape[0], matrix.shape[1])
    precondition(sum.count == n * n, "\(sum.count) elements for the Gram matrix of \(n) vectors")
    guard n > 0, k > 0 else { return }
    unsafe matrix.elements.span.withUnsafeBufferPointer { a in
      unsafe sum.withUnsafeMutableBufferPointer { c in
        guard let a = a.baseAddress, let c = c.baseAddress else { return }
        unsafe Scalar.syrk(ofColumns ? CblasTrans : CblasNoTrans, Int32(n), Int32(k), a, Int32(matrix.shape[1]), c)
      }
    }
  }

  /// Copies the upper triangle of an n x n matrix to the lower one.
  static func mirror<Scalar: BLASScalar>(_ matrix: inout [Scalar], _ n: Int) {
    for row in 0..<n {
      for column in 0..<row { matrix[row * n + column] = matrix[column * n + row] }
    }
  }
}
