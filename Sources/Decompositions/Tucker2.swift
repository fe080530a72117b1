import Basics
import LinearAlgebra
import ModelGraph
import TensorCore

/// Tucker-2: a core between an input and an output projection, W[f, c, s] ~ sum_pq U[f, p] G[p, q, s] V[c, q]. The start is
/// the truncated HOSVD, the fit alternating least squares. Ranks are (output, input).
public struct Tucker2: Structure {
  public let name = "tucker2"
  public let rankAxes = [[0], [0, 1], [1]]
  /// How many pairs of ranks a sweep fits.
  private static let sweepCount = 14
  private static let fitting = AlternatingLeastSquares(sweepLimit: 15, progress: 1e-4)

  public init() {}

  /// Without a spatial extent the core is a matrix and Tucker-2 a low rank with more parameters.
  public func shapes(for kernelShape: [Int]) -> [[[Int]]] {
    guard kernelShape.count > 2, kernelShape.allSatisfy({ $0 > 0 }),
      kernelShape.dropFirst(2).contains(where: { $0 > 1 })
    else { return [] }
    let ones = kernelShape.dropFirst(2).map { _ in 1 }
    return [[[kernelShape[0], 1] + ones, [1, 1] + kernelShape.dropFirst(2), [1, kernelShape[1]] + ones]]
  }

  public func scores(of kernel: Tensor<Double>, shapes: [[[Int]]]) throws -> [Score] {
    guard let shapes = shapes.first else { return [] }
    let decomposition = try HOSVD(kernel)
    return try decomposition.promisingRanks(limit: Self.sweepCount).map { p, q in
      let pattern = FactorPattern(shapes: shapes, ranks: [p, q], rankAxes: rankAxes)
      let fit = try fit(kernel, from: decomposition.truncated(to: pattern))
      let discrepancy = fit.factorization.reconstruct().relativeDiscrepancy(from: kernel)
      return Score(pattern: pattern, discrepancy: discrepancy)
    }
  }

  public func fit(_ kernel: Tensor<Double>, to pattern: FactorPattern) throws -> Fit {
    try fit(kernel, from: HOSVD(kernel).truncated(to: pattern))
  }

  private func fit(_ kernel: Tensor<Double>, from start: Factorization) throws -> Fit {
    let result = try Self.fitting.fit(kernel, from: start)
    return Fit(
      factorization: result.factorization, converged: result.converged,
      note: "\(result.losses.count - 1) sweeps")
  }

  public func lowering(of pattern: FactorPattern) -> Lowering {
    let (output, core, input) = (pattern.shapes[0], pattern.shapes[1], pattern.shapes[2])
    let (p, q) = (pattern.ranks[0], pattern.ranks[1])
    let order = core.count
    let spatial = Array(2..<order)
    let ones = spatial.map { _ in 1 }
    return Lowering([
      .convolution(
        kernelShape: [q, input[1]] + ones, factor: 2, order: [order, 1, 0] + spatial),
      .convolution(
        kernelShape: [p, q] + core[2...], factor: 1, order: [order, order + 1, 0, 1] + spatial),
      .convolution(
        kernelShape: [output[0], p] + ones, factor: 0, order: [0, order, 1] + spatial),
    ])
  }
}
