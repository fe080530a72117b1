import TensorCore

/// The canonical polyadic decomposition: W[f, c, s] ~ sum_r A[f, r] B[c, r] D[s, r] over (out, in, spatial), or with a factor
/// for each spatial axis. Over two modes it is the low rank.
public struct CP: Structure {
  public let name = "cp"
  public let needsTrials = true

  /// The structure has no settings.
  public init() {}

  public func rankAxes(shapes: [[Int]]) -> [[Int]]? {
    ModeGroups.areWhole(shapes) ? shapes.map { _ in [0] } : nil
  }

  public func proposals(_ spectra: KernelSpectra, parameters: Int) throws -> [FactorPattern] {
    let shape = spectra.kernel.shape
    return ModeGroups.all(shape).compactMap { groups in
      let perRank = groups.reduce(0) { $0 + $1.reduce(1) { $0 * shape[$1] } }
      guard groups.count >= 2, perRank <= parameters else { return nil }
      let shapes = ModeGroups.shapes(groups, of: shape)
      return FactorPattern(
        shapes: shapes, ranks: [parameters / perRank], rankAxes: shapes.map { _ in [0] }
      ).clamped
    }
  }

  /// The best approximation where there are two factors.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  public func start(_ kernel: Tensor<Double>, _ pattern: FactorPattern) throws -> Factorization? {
    pattern.factorCount == 2 ? try KroneckerSum.factors(kernel, pattern) : nil
  }
}
