import LinearAlgebra
import TensorCore

/// The best products (out x rank) (rank x patch) of a kernel in the norm ||G^(1/2) (W - What) S^(1/2)|| of a layer's patches, for every
/// rank at once.
///
/// With S = L L^T they are the truncated SVDs of M = G^(1/2) W L, brought back by G^(-1/2) and L^(-1) (Eckart and Young, 1936). The
/// singular vectors are those of the Gram matrix of the shorter side of M. So errors below 1e-8 of the kernel are lost to rounding.
struct LowRankOptimum {
  /// The two factors at full rank, the most important slices first: (out x n) and (n x patch).
  private let left: Tensor<Double>
  private let right: Tensor<Double>

  /// - Parameters:
  ///   - kernel: W, or G^(1/2) W: (out, in, spatial...).
  ///   - metric: S, (patch x patch), symmetric.
  /// - Throws: `Failure` where S is not positive definite, or LAPACK does not converge.
  init(_ kernel: Tensor<Double>, metric: Tensor<Double>) throws {
    let (rows, patch) = (kernel.shape[0], metric.shape[0])
    let matrix = kernel.reshaped([rows, patch])
    if rows <= patch {
      // M M^T = W S W^T. What = U U^T W, with U its eigenvectors.
      let vectors = try SymmetricEigendecomposition(matrix.times(metric).times(matrix, otherTransposed: true)).vectors
      (left, right) = (vectors.permuted([1, 0]), vectors.times(matrix))
    } else {
      // M^T M = L^T W^T W L. What = W L V V^T L^(-1), with V its eigenvectors; V^T L^(-1) = (L V)^T S^(-1).
      let cholesky = try Cholesky(metric)
      let lower = Tensor(shape: [patch, patch], elements: cholesky.lower)
      let vectors = try SymmetricEigendecomposition(matrix.times(lower).gram(ofColumns: true)).vectors
      let whitened = vectors.times(lower, otherTransposed: true)
      (left, right) = (matrix.times(whitened, otherTransposed: true), try cholesky.solve(rows: whitened))
    }
  }

  /// The best factors of a pattern that gives the first mode to its first factor and all others to its second.
  func factors(_ pattern: FactorPattern) -> Factorization {
    let rank = pattern.ranks[0]
    let columns = left.permuted([1, 0]).leadingRows(rank).permuted([1, 0])
    return Factorization(
      pattern,
      factors: [
        columns.reshaped(pattern.factorShape(0)),
        right.leadingRows(rank).permuted([1, 0]).reshaped(pattern.factorShape(1)),
      ])
  }
}

/// Finds the optimum of a kernel once, whatever the number of ranks that ask for it.
final class LowRankOptima {
  private var known: LowRankOptimum?

  func optimum(_ kernel: Tensor<Double>, metric: Tensor<Double>) throws -> LowRankOptimum {
    if let known { return known }
    let optimum = try LowRankOptimum(kernel, metric: metric)
    known = optimum
    return optimum
  }
}
