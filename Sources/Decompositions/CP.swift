import Basics
import LinearAlgebra
import ModelGraph
import TensorCore

/// The canonical polyadic decomposition over (out, in, spatial): W[f, c, s] ~ sum_r A[f, r] B[c, r] D[s, r].
///
/// Ranks grow: the fit of each rank of a fixed geometric grid starts from the one before and from the leading rank-one
/// terms of its residual. A fit repeats this chain up to its own rank, so it reaches what the sweep has seen.
public struct CP: Structure {
  public let name = "cp"
  public let rankAxes = [[0], [0], [0]]
  private static let fitting = AlternatingLeastSquares(sweepLimit: 30, progress: 1e-4)
  /// The cube root of 2: finer grids gain little, coarser ones leave bytes of the budget unused.
  private static let gridRatio = 1.259921
  /// A sweep's budget in multiply-accumulates, which bounds the ranks of large kernels.
  private static let sweepBudget = 1e11

  public init() {}

  /// With fewer than three modes CP is the low rank with more parameters.
  public func shapes(for kernelShape: [Int]) -> [[[Int]]] {
    guard kernelShape.count > 2, kernelShape[0] > 1, kernelShape[1] > 1,
      kernelShape.allSatisfy({ $0 > 0 }), kernelShape.dropFirst(2).contains(where: { $0 > 1 })
    else { return [] }
    let ones = kernelShape.dropFirst(2).map { _ in 1 }
    return [[[kernelShape[0], 1] + ones, [1, kernelShape[1]] + ones, [1, 1] + kernelShape.dropFirst(2)]]
  }

  public func scores(of kernel: Tensor<Double>, shapes: [[[Int]]]) throws -> [Score] {
    guard let shapes = shapes.first else { return [] }
    var scores: [Score] = []
    var fitted: Fit?
    for rank in Self.grid(for: kernel.shape) {
      let pattern = FactorPattern(shapes: shapes, ranks: [rank], rankAxes: rankAxes)
      let fit = try extended(fitted?.factorization, to: pattern, kernel)
      let discrepancy = fit.factorization.reconstruct().relativeDiscrepancy(from: kernel)
      scores.append(Score(pattern: pattern, discrepancy: discrepancy))
      fitted = fit
    }
    return scores
  }

  public func fit(_ kernel: Tensor<Double>, to pattern: FactorPattern) throws -> Fit {
    let ranks = Self.grid(for: kernel.shape).filter { $0 < pattern.ranks[0] }
    let previous = try ranks.reduce(nil as Factorization?) { previous, rank in
      let step = FactorPattern(shapes: pattern.shapes, ranks: [rank], rankAxes: rankAxes)
      return try extended(previous, to: step, kernel).factorization
    }
    return try extended(previous, to: pattern, kernel)
  }

  public func lowering(of pattern: FactorPattern) -> Lowering {
    let (output, input, window) = (pattern.shapes[0], pattern.shapes[1], pattern.shapes[2])
    let rank = pattern.ranks[0]
    let order = window.count
    let spatial = Array(2..<order)
    let ones = spatial.map { _ in 1 }
    return Lowering([
      .convolution(kernelShape: [rank, input[1]] + ones, factor: 1, order: [order, 1, 0] + spatial),
      .convolution(
        kernelShape: [rank, 1] + window[2...], groups: rank, factor: 2,
        order: [order, 0, 1] + spatial),
      .convolution(kernelShape: [output[0], rank] + ones, factor: 0, order: [0, order, 1] + spatial),
    ])
  }

  /// Ranks a factor of the cube root of 2 apart, from a 40th of the dense parameters up to all of them.
  static func grid(for kernelShape: [Int]) -> [Int] {
    let count = kernelShape.reduce(1, *)
    let perRank = kernelShape[0] + kernelShape[1] + kernelShape.dropFirst(2).reduce(1, *)
    // A sweep costs about 6 multiply-accumulates for each element and rank, and the grid sums to 4.8 times its end.
    let affordable = sweepBudget / (6 * 4.8 * Double(fitting.sweepLimit) * Double(count))
    let limit = min((count - 1) / perRank, max(8, Int(min(affordable, 1e6))))
    guard limit >= 1 else { return [] }
    var ranks: Set<Int> = [limit]
    var rank = Double(limit)
    for _ in 0..<16 where rank >= 2 {
      rank /= gridRatio
      ranks.insert(Int(rank.rounded()))
    }
    return ranks.sorted()
  }

  /// The fit of a rank that starts from the fit of a smaller one.
  private func extended(
    _ previous: Factorization?, to pattern: FactorPattern, _ kernel: Tensor<Double>
  ) throws -> Fit {
    let residual = previous.map { $0.reconstruct().elements }
    let rest = Tensor(
      shape: kernel.shape,
      elements: residual.map { zip(kernel.elements, $0).map { $0 - $1 } } ?? kernel.elements)
    let added = pattern.ranks[0] - (previous?.pattern.ranks[0] ?? 0)
    let terms = try RankOneTerms(pattern.rearranged(rest), limit: added)
    let start = terms.appended(to: previous, pattern: pattern)
    let result = try Self.fitting.fit(kernel, from: start)
    return Fit(
      factorization: result.factorization, converged: result.converged,
      note: "\(result.losses.count - 1) sweeps")
  }
}
