import LinearAlgebra
import TensorCore

extension Factorization {
  /// ||W - What|| / ||W|| of a large kernel, a part of its matrix at a time, so that no other one of its size is held; nil for smaller
  /// kernels and for products of other forms.
  func blockwiseDiscrepancy(from kernel: Tensor<Double>) throws -> Double? {
    guard KroneckerSum.isLarge(kernel.count), factors.count == 2, pattern.rankAxes[0] == pattern.rankAxes[1] else {
      return nil
    }
    return try discrepancy(from: PartedMatrix(pattern.form.rearranged(kernel)))
  }

  /// ||M - Mhat|| / ||M|| of a kernel's matrix.
  ///
  /// - Precondition: there are two factors, and each has every rank.
  /// - Throws: what making a part throws.
  func discrepancy(from matrix: PartedMatrix) throws -> Double {
    let rank = pattern.ranks.reduce(1, *)
    return try matrix.discrepancy(
      of: matricized[0].reshaped([matrix.rows, rank]), matricized[1].reshaped([matrix.columns, rank]))
  }
}
