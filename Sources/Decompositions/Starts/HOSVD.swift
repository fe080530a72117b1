import Basics
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
      factors[k] = try leadingVectors(tensor, mode: k).leadingRows(pattern.rankExtents(k)[0]).permuted([1, 0])
    }
    let labels = EinsumLabels(pattern)
    let project = Einsum(
      [Array(0..<order)] + projections.map(labels.factor), to: labels.factor(core), extents: labels.extents())
    factors[core] = project([tensor] + projections.compactMap { factors[$0] })
    return Factorization(
      pattern, factors: factors.enumerated().map { ($1 ?? Tensor(zeros: [])).reshaped(pattern.factorShape($0)) })
  }

  /// The left singular vectors of a mode's unfolding, as rows, the leading one first: no more than the unfolding has rank.
  fileprivate static func leadingVectors(_ tensor: Tensor<Double>, mode: Int) throws -> Tensor<Double> {
    let extent = tensor.shape[mode]
    let others = tensor.count / max(1, extent)
    // The last mode's unfolding lies there transposed.
    let isLast = mode == tensor.order - 1
    let unfolding =
      isLast
      ? tensor.reshaped([others, extent])
      : tensor.permuted([mode] + (0..<tensor.order).filter { $0 != mode }).reshaped([extent, others])
    guard extent <= others else {
      // The Gram matrix of a mode that is longer than all others together would be far larger than the tensor.
      let decomposition = try SingularValueDecomposition(unfolding)
      return isLast ? decomposition.vt : decomposition.u.permuted([1, 0])
    }
    return try SymmetricEigendecomposition(unfolding.gram(ofColumns: isLast)).vectors
  }
}

/// The exact error of every truncation of one HOSVD: its core is orthogonal, so what a truncation discards is the energy of the
/// core outside of the leading block.
public struct HOSVDErrors {
  /// Element (i, j, ...) is the energy of the leading block of i x j x ... elements.
  private let energies: Tensor<Double>

  /// - Parameter shapes: for each group of modes that is projected, its shape; together they have all modes.
  init(_ kernel: Tensor<Double>, _ shapes: [[Int]]) throws {
    let form = FactorForm(shapes: shapes, rankAxes: shapes.map { _ in [0] })
    var core = form.rearranged(kernel)
    let vectors = try shapes.indices.map { try HOSVD.leadingVectors(core, mode: $0) }
    let order = shapes.count
    for (mode, basis) in vectors.enumerated() {
      // The mode comes first, is projected, and goes to the back; after all modes they are in order again.
      let rest = core.shape.dropFirst()
      let projected = basis.times(core.reshaped([core.shape[0], rest.reduce(1, *)]))
      precondition(basis.shape[1] == shapes[mode].reduce(1, *), "a mode was lost")
      core = projected.reshaped([basis.shape[0]] + rest).permuted(Array(1..<order) + [0])
    }
    // Sums along one mode after the other, with a zero in front.
    var sums = core.map { $0 * $0 }
    for _ in 0..<order {
      let (first, rest) = (sums.shape[0], sums.shape.dropFirst().reduce(1, *))
      var elements = [Double](repeating: 0, count: (first + 1) * rest)
      for i in 0..<first {
        for j in 0..<rest { elements[(i + 1) * rest + j] = elements[i * rest + j] + sums.elements[i * rest + j] }
      }
      sums = Tensor(shape: [first + 1] + sums.shape.dropFirst(), elements: elements).permuted(Array(1..<order) + [0])
    }
    energies = sums
  }

  /// The squared relative error with these ranks, one for each group; nil leaves a group whole.
  func error(_ ranks: [Int?]) -> Double {
    var position = 0
    for (mode, extent) in energies.shape.enumerated() {
      position = position * extent + min(ranks[mode] ?? extent - 1, extent - 1)
    }
    let total = energies.elements.last.required("the sums have a zero in front")
    return total > 0 ? max(0, 1 - energies.elements[position] / total) : 0
  }
}
