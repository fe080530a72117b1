import LinearAlgebra
import TensorCore

/// The recursive decomposition of SeKron (Hameed et al., 2022, section 3): split the leading digits off by an SVD, keep R
/// singular directions, and go on with each of them as a kernel of its own.
///
/// The left vectors are orthonormal, so the squared error is the sum of all discarded singular values' squares. For three and
/// more factors it is a start and not the best fit.
enum SeKronRecursion {
  /// - Parameter pattern: factor k has the ranks 0...k, the last one those of the one before.
  static func factors(_ kernel: Tensor<Double>, _ pattern: FactorPattern) throws -> Factorization {
    let extents = pattern.shapes.indices.map(pattern.modeCount)
    // One remainder for each combination of the ranks so far, outermost rank first: (groups, modes left).
    var remainders = pattern.form.rearranged(kernel).reshaped([1, kernel.count])
    var factors: [Tensor<Double>] = []
    for (k, rank) in pattern.ranks.enumerated() {
      let (groups, columns) = (remainders.shape[0], remainders.shape[1] / max(1, extents[k]))
      var bases: [Double] = []
      var next: [Double] = []
      for group in 0..<groups {
        let slice = remainders.elements[group * remainders.shape[1]..<(group + 1) * remainders.shape[1]]
        let truncation = try Truncation(Tensor(shape: [extents[k], columns], elements: Array(slice)), rank: rank)
        bases += truncation.basis.elements
        next += truncation.rest.elements
      }
      // (groups, mode, rank) -> (mode, groups, rank).
      factors.append(
        Tensor(shape: [groups, extents[k], rank], elements: bases).permuted([1, 0, 2])
          .reshaped(pattern.factorShape(k)))
      remainders = Tensor(shape: [groups * rank, columns], elements: next)
    }
    factors.append(remainders.permuted([1, 0]).reshaped(pattern.factorShape(extents.count - 1)))
    return Factorization(pattern, factors: factors)
  }
}
