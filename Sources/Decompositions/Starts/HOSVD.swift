import LinearAlgebra
import TensorCore

/// The truncated higher-order SVD over some modes (De Lathauwer et al., 2000): the leading left singular vectors of each of these
/// modes' unfoldings, and the core that the kernel has in their coordinates.
enum HOSVD {
  /// - Parameters:
  ///   - pattern: see `Tucker.rankAxes`: projections with one rank each, and a core with all ranks and the digits that are left.
  ///   - core: the position of the core among the factors.
  static func factors(_ kernel: Tensor<Double>, _ pattern: FactorPattern, core: Int) throws -> Factorization {
    let tensor = pattern.form.rearranged(kernel)
    let projections = pattern.shapes.indices.filter { $0 != core }
    let order = tensor.order
    var factors: [Tensor<Double>?] = Array(repeating: nil, count: order)
    for k in projections {
      let unfolding = tensor.permuted([k] + (0..<order).filter { $0 != k })
        .reshaped([tensor.shape[k], tensor.count / max(1, tensor.shape[k])])
      let gram = unfolding.times(unfolding, otherTransposed: true)
      let vectors = try SymmetricEigendecomposition(gram).vectors
      factors[k] = vectors.leadingRows(pattern.rankExtents(k)[0]).permuted([1, 0])
    }
    let labels = EinsumLabels(pattern)
    let project = Einsum(
      [Array(0..<order)] + projections.map(labels.factor), to: labels.factor(core), extents: labels.extents())
    factors[core] = project([tensor] + projections.compactMap { factors[$0] })
    return Factorization(
      pattern, factors: factors.enumerated().map { ($1 ?? Tensor(zeros: [])).reshaped(pattern.factorShape($0)) })
  }
}
