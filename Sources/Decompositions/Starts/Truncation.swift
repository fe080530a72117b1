import LinearAlgebra
import TensorCore

/// The best approximation of a matrix by rank r, as an orthonormal basis and the coordinates in it: M ~ basis * rest.
///
/// It comes from the eigenvectors of the smaller Gram matrix, which is one matrix product and an eigenproblem of the smaller side
/// instead of a singular value decomposition; singular values below about 1e-8 of the largest are lost to rounding.
struct Truncation {
  /// (rows x rank), orthonormal where M has that rank, zero columns beyond it.
  let basis: Tensor<Double>
  /// (rank x columns): basis^T M.
  let rest: Tensor<Double>

  init(_ matrix: Tensor<Double>, rank: Int) throws {
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

extension Tensor where Scalar == Double {
  /// The first `count` rows of a matrix, and rows of zeros where it has fewer.
  func leadingRows(_ count: Int) -> Tensor {
    let (rows, columns) = (shape[0], shape[1])
    let kept = Array(elements[..<(Swift.min(count, rows) * columns)])
    let padding = [Double](repeating: 0, count: Swift.max(0, count - rows) * columns)
    return Tensor(shape: [count, columns], elements: kept + padding)
  }

  /// Rows of norm 1; those that are zero up to rounding become zero.
  fileprivate func rowsNormalized() -> Tensor {
    let columns = shape[1]
    var result = elements
    var largest = 0.0
    for row in 0..<shape[0] {
      let range = row * columns..<(row + 1) * columns
      let norm = result[range].reduce(0) { $0 + $1 * $1 }.squareRoot()
      largest = Swift.max(largest, norm)
      let scale = norm > 1e-12 * largest ? 1 / norm : 0
      for i in range { result[i] *= scale }
    }
    return Tensor(shape: shape, elements: result)
  }
}
