import LinearAlgebra
import TensorCore

extension Factorization {
  /// Kernels of fewer elements are reconstructed as a whole.
  private static let largest = 1 << 22
  /// The elements of the kernel that are reconstructed at once.
  private static let blockElements = 1 << 19

  /// ||W - What|| / ||W|| of a large kernel, some rows of its matrix at a time, so that no other one of its size is held; nil for smaller
  /// kernels and for products of other forms.
  func blockwiseDiscrepancy(from kernel: Tensor<Double>) -> Double? {
    guard kernel.count > Self.largest, factors.count == 2, pattern.rankAxes[0] == pattern.rankAxes[1] else {
      return nil
    }
    let matrix = pattern.form.rearranged(kernel)
    let (rows, columns) = (matrix.shape[0], matrix.shape[1])
    let rank = pattern.ranks.reduce(1, *)
    let (left, right) = (matricized[0].reshaped([rows, rank]), matricized[1].reshaped([columns, rank]))
    let height = max(1, Self.blockElements / columns)
    var squares = 0.0
    for first in stride(from: 0, to: rows, by: height) {
      let range = first..<min(first + height, rows)
      let product = left.samples(range).times(right, otherTransposed: true)
      squares += product.subtracting(matrix.samples(range)).squaredNorm
    }
    let norm = kernel.norm
    return norm > 0 ? squares.squareRoot() / norm : (squares == 0 ? 0 : .infinity)
  }
}
