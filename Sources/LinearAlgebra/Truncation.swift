import TensorCore

/// The best approximation of a matrix by rank r, as an orthonormal basis and the coordinates in it: M ~ basis * rest.
///
/// It comes from the eigenvectors of the smaller Gram matrix, which is one matrix product and an eigenproblem of the smaller side
/// instead of a singular value decomposition; singular values below about 1e-8 of the largest are lost to rounding.
package struct Truncation {
  /// The basis (rows x rank): orthonormal columns where M has that rank, zero columns beyond it.
  package let basis: Tensor<Double>
  /// The rest (rank x columns): basis^T M.
  package let rest: Tensor<Double>

  /// Truncates a matrix (rows x columns).
  ///
  /// - Throws: `Failure` when the matrix holds NaN or infinity, is too large for LAPACK, or dsyevd does not converge.
  package init(_ matrix: Tensor<Double>, rank: Int) throws {
    let (m, n) = (matrix.shape[0], matrix.shape[1])
    let isWide = m <= n
    let vectors = try SymmetricEigendecomposition(matrix.gram(ofColumns: !isWide)).vectors.leadingRows(rank)
    if isWide {
      basis = vectors.permuted([1, 0])
    } else {
      // M v = sigma u.
      let images = vectors.times(matrix, otherTransposed: true)
      basis = images.rowsNormalized().permuted([1, 0])
    }
    rest = basis.times(matrix, transposed: true)
  }
}
