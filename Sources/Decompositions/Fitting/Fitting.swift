import Basics
import Foundation
import TensorCore

/// The outcome of a fit.
public struct Fit: Sendable {
  public let factorization: Factorization
  /// The discrepancy in the objective's norm, from the reconstruction.
  public let discrepancy: Double
  public let converged: Bool
  /// Passes over all factors, 0 for a decomposition that is optimal at once.
  public let sweeps: Int
}

/// How much work a fit may be. A larger effort goes on where a smaller one stopped, so it never ends higher.
public enum FitEffort: Sendable {
  /// A first impression.
  case trial
  /// For the many candidates of a sweep.
  case sweep
  /// For the factors that are written.
  case final
}

/// Fits patterns of a structure to one objective.
public struct Fitting {
  public let objective: FitObjective
  private let seed: UInt64

  private static let trialSweeps = 10
  private static let sweepLimit = Int(ProcessInfo.processInfo.environment["KS"] ?? "24")!
  private static let finalSweeps = 200
  /// The multiply-accumulates of all sweeps from one start, which shortens the fits of large kernels.
  private static let workLimit = 1.5e11
  /// Fits climb from the smallest pattern with this ratio between the parameter counts.
  static let step = 1.259921

  /// - Parameter seed: of everything random in the fits.
  public init(_ objective: FitObjective, seed: UInt64 = 0) {
    self.objective = objective
    self.seed = seed
  }

  /// - Throws: `Failure` where LAPACK does not converge.
  public func fit(_ pattern: FactorPattern, of structure: any Structure, effort: FitEffort) throws -> Fit {
    let own = try structure.start(objective.kernel, pattern)
    if let own, objective.metric == nil, structure.startIsOptimal || pattern.factorCount == 2 {
      return Fit(
        factorization: own, discrepancy: objective.discrepancy(of: own.reconstruct()), converged: true, sweeps: 0)
    }
    switch effort {
    case .trial:
      let start = structure.needsTrials ? gaussian(pattern) : own ?? gaussian(pattern)
      return fit(from: start, sweeps: Self.trialSweeps)
    case .sweep:
      guard let own, !structure.needsTrials else { return climb(to: pattern).last ?? fit(from: gaussian(pattern), sweeps: 0) }
      return fit(from: own, sweeps: Self.sweepLimit)
    case .final:
      let swept = try fit(pattern, of: structure, effort: .sweep)
      if swept.converged { return swept }
      let rest = fit(from: swept.factorization, sweeps: Self.finalSweeps)
      return Fit(
        factorization: rest.factorization, discrepancy: rest.discrepancy, converged: rest.converged,
        sweeps: swept.sweeps + rest.sweeps)
    }
  }

  /// The fits of a pattern and of all smaller ones on the way to it, by ascending parameters: each starts from the one before,
  /// with room to grow. That is as good as many starts from scratch, and gives the curve of the form for one fit's price.
  public func climb(to pattern: FactorPattern) -> [Fit] {
    var fits: [Fit] = []
    for pattern in Self.ladder(to: pattern) {
      let start = fits.last?.factorization.grown(to: pattern, seed: seed &+ UInt64(fits.count)) ?? gaussian(pattern)
      fits.append(fit(from: start, sweeps: Self.sweepLimit))
    }
    return fits
  }

  /// The patterns below one, `step` apart down to a fiftieth of the kernel's elements, by ascending parameters.
  static func ladder(to top: FactorPattern) -> [FactorPattern] {
    var patterns = [top]
    let least = top.kernelShape.reduce(1, *) / 50
    while let last = patterns.last, last.parameterCount > least,
      let next = last.scaled(toParameters: Int(Double(last.parameterCount) / step)),
      next.parameterCount < last.parameterCount, zip(next.ranks, last.ranks).allSatisfy({ $0 <= $1 })
    {
      patterns.append(next)
    }
    return patterns.reversed()
  }

  private func gaussian(_ pattern: FactorPattern) -> Factorization {
    .gaussian(pattern, norm: objective.norm, seed: seed)
  }

  private func fit(from start: Factorization, sweeps: Int) -> Fit {
    let affordable = max(8, Int(min(1e6, Self.workLimit / Self.work(start.pattern))))
    let result = AlternatingLeastSquares(sweepLimit: min(sweeps, affordable)).fit(objective, from: start)
    return Fit(
      factorization: result.factorization, discrepancy: objective.discrepancy(of: result.factorization.reconstruct()),
      converged: result.converged, sweeps: result.losses.count - 1)
  }

  /// The multiply-accumulates of one sweep, about: the kernel meets the ranks of a factor twice.
  private static func work(_ pattern: FactorPattern) -> Double {
    let ranks = pattern.shapes.indices.map { pattern.rankExtents($0).reduce(1.0) { $0 * Double($1) } }
    return 2 * Double(pattern.kernelShape.reduce(1, *)) * (ranks.max() ?? 1)
  }
}
