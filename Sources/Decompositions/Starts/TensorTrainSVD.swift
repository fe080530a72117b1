import LinearAlgebra
import TensorCore

/// TT-SVD (Oseledets, SIAM Journal on Scientific Computing 33, 2011) and its ring form (Zhao et al., 2016): one truncation after
/// the other splits the leading factor off. A factor may have digits of several modes.
enum TensorTrainSVD {
  /// - Parameter pattern: factor k has the ranks (k - 1, k), those at the ends one.
  static func train(_ kernel: Tensor<Double>, _ pattern: FactorPattern) throws -> Factorization {
    let extents = pattern.shapes.indices.map(pattern.modeCount)
    let cores = try split(pattern.form.rearranged(kernel), extents: extents, ranks: pattern.ranks, first: 1, last: 1)
    return factorization(pattern, cores)
  }

  /// - Parameter pattern: factor k has the ranks (k - 1, k), factor 0 (last, 0), in this order.
  static func ring(_ kernel: Tensor<Double>, _ pattern: FactorPattern) throws -> Factorization {
    let extents = pattern.shapes.indices.map(pattern.modeCount)
    let (closing, opening) = (pattern.ranks[pattern.ranks.count - 1], pattern.ranks[0])
    let unfolded = pattern.form.rearranged(kernel).reshaped([extents[0], extents.dropFirst().reduce(1, *)])
    let first = try Truncation(unfolded, rank: closing * opening)
    // (closing, opening, rest) -> (opening, rest, closing): the ring's last factor takes the closing rank.
    let tail = first.rest.reshaped([closing, opening, unfolded.shape[1]]).permuted([1, 2, 0])
    let cores = try split(
      tail, extents: Array(extents.dropFirst()), ranks: Array(pattern.ranks.dropFirst().dropLast()), first: opening,
      last: closing)
    // (mode, closing, opening) -> (closing, mode, opening), the order in which a train has its axes.
    let head = first.basis.reshaped([extents[0], closing, opening]).permuted([1, 0, 2])
    return factorization(pattern, [head] + cores)
  }

  /// The cores (rank before, mode, rank after) of (first, modes..., last).
  private static func split(
    _ tensor: Tensor<Double>, extents: [Int], ranks: [Int], first: Int, last: Int
  ) throws -> [Tensor<Double>] {
    var cores: [Tensor<Double>] = []
    var rest = tensor
    var before = first
    for (extent, rank) in zip(extents, ranks) {
      let rows = before * extent
      let truncation = try Truncation(rest.reshaped([rows, rest.count / max(1, rows)]), rank: rank)
      cores.append(truncation.basis.reshaped([before, extent, rank]))
      rest = truncation.rest
      before = rank
    }
    cores.append(rest.reshaped([before, extents[extents.count - 1], last]))
    return cores
  }

  /// The cores with the mode first: (mode, rank before, rank after).
  private static func factorization(_ pattern: FactorPattern, _ cores: [Tensor<Double>]) -> Factorization {
    let factors = cores.enumerated().map { $1.permuted([1, 0, 2]).reshaped(pattern.factorShape($0)) }
    return Factorization(pattern, factors: factors)
  }
}
