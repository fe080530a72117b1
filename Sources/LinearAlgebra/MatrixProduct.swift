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
}
