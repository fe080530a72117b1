import Basics
import TensorCore

/// What a fit comes to.
public struct Fit: Sendable {
  /// The factors that were found.
  public let factorization: Factorization
  /// The discrepancy in the objective's norm, from the reconstruction.
  public let discrepancy: Double
  /// The same in the norm of the weights.
  public let kernelDiscrepancy: Double
  /// Whether more sweeps would hardly lower the discrepancy.
  public let converged: Bool
  /// Passes over all factors, 0 for a decomposition that is optimal at once.
  public let sweeps: Int
}

extension Fit {
  /// The same factors under the form of a pattern whose reduced form they have.
  fileprivate func restored(to pattern: FactorPattern) -> Fit {
    var own = factorization.pattern.ranks[...]
    guard factorization.pattern.form != pattern.form else { return self }
    let full = FactorPattern(pattern.form, ranks: pattern.ranks.map { $0 > 1 ? own.removeFirst() : 1 })
    return Fit(
      factorization: Factorization(
        full, factors: factorization.factors.enumerated().map { $1.reshaped(full.factorShape($0)) }),
      discrepancy: discrepancy, kernelDiscrepancy: kernelDiscrepancy, converged: converged, sweeps: sweeps)
  }
}

/// How much work a fit may be. A larger effort goes on where a smaller one stopped, so it never ends higher.
public enum FitEffort: Sendable {
  /// A few sweeps give a first impression.
  case trial
  /// The effort for each of the many candidates of a sweep.
  case sweep
  /// The effort for the factors that are written.
  case final
}

/// Fits patterns of a structure to one objective.
public struct Fitting {
  /// What the fits bring close, and in which norm.
  public let objective: FitObjective
  private let seed: UInt64
  private let optima = LowRankOptima()

  private static let trialSweeps = 10
  private static let restarts = 4
  /// The multiply-accumulates of one fit up to which restarts are worth their time.
  private static let restartWork = 1e10
  private static let sweepLimit = 30
  /// In the norm of a layer's inputs a sweep is many times the work, and each fit begins where the smaller pattern's ended.
  private static let metricSweepLimit = 8
  private static let finalSweeps = 200
  private static let metricFinalSweeps = 30
  /// The multiply-accumulates of one fit of a sweep and of the last one, which shorten the fits of large kernels.
  private static let sweepWork = 6e9
  private static let finalWork = 3e11
  /// Fits climb from the smallest pattern with this ratio between the parameter counts.
  static let step = 1.259921

  /// Fits to one objective.
  ///
  /// - Parameter seed: of everything random in the fits.
  public init(_ objective: FitObjective, seed: UInt64 = 0) {
    self.objective = objective
    self.seed = seed
  }

  /// Fits one pattern, as hard as the effort says.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  public func fit(_ pattern: FactorPattern, of structure: any Structure, effort: FitEffort) throws -> Fit {
    // Between two factors the structure's own start is the best approximation, whatever else the structure needs.
    let isLowRank = pattern.factorCount == 2
    let start = structure.needsTrials && !isLowRank ? nil : try structure.start(objective.kernel, pattern)
    if let start, objective.isPlain, structure.startIsOptimal || isLowRank {
      let discrepancy =
        try start.blockwiseDiscrepancy(from: objective.kernel) ?? objective.discrepancy(of: start.reconstruct())
      return Fit(
        factorization: start, discrepancy: discrepancy, kernelDiscrepancy: discrepancy, converged: true, sweeps: 0)
    }
    if let optimum = try optimum(pattern) { return fit(optimum, converged: true, sweeps: 0) }
    switch effort {
    case .trial: return try improved(start ?? gaussian(pattern), sweeps: Self.trialSweeps)
    case .sweep: return try swept(pattern, from: start)
    case .final:
      let first = try swept(pattern, from: start)
      let fits = [first] + (start == nil ? try restarted(pattern).map { [$0] } ?? [] : [])
      let finished = try fits.map { $0.converged ? $0 : try improved($0, sweeps: finalSweeps, work: Self.finalWork) }
      return finished.min { $0.discrepancy < $1.discrepancy }.required("there is a first fit")
    }
  }

  /// A fit of so many sweeps, whatever work they are, from the structure's own start or from a random one.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  public func fit(_ pattern: FactorPattern, of structure: any Structure, sweeps: Int) throws -> Fit {
    let own = structure.needsTrials ? nil : try structure.start(objective.kernel, pattern)
    return try improved(own ?? gaussian(pattern), sweeps: sweeps, work: .infinity)
  }

  /// The factors after a few more sweeps, from where they are.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  public func improved(_ factorization: Factorization, sweeps: Int) throws -> Fit {
    try improved(factorization, sweeps: sweeps, work: .infinity)
  }

  /// The best factors of a pattern in the norm of the objective; nil where only a fit can find them.
  private func optimum(_ pattern: FactorPattern) throws -> Factorization? {
    guard pattern.factorCount == 2, pattern.ranks.count == 1, ModeGroups.areWhole(pattern.shapes) else { return nil }
    let roots = try objective.roots(of: pattern)
    let scaled = objective.scaled(by: roots)
    let best: Factorization
    if let metric = scaled.metric {
      guard pattern.modeCount(0) == pattern.shapes[0][0], pattern.shapes[1][0] == 1 else { return nil }
      best = try optima.optimum(scaled.kernel, metric: metric).factors(pattern)
    } else {
      best = try KroneckerSum.factors(scaled.kernel, pattern)
    }
    return roots.reduce(best) { $1.undone($0) }.balanced()
  }

  private var finalSweeps: Int { objective.metric == nil ? Self.finalSweeps : Self.metricFinalSweeps }
  private var sweepLimit: Int { objective.metric == nil ? Self.sweepLimit : Self.metricSweepLimit }

  /// The fit that a sweep makes: from the structure's own start, else from below.
  private func swept(_ pattern: FactorPattern, from start: Factorization?) throws -> Fit {
    try start.map { try improved($0, sweeps: sweepLimit) }
      ?? climb(to: pattern).last.required("a climb ends at its pattern")
  }

  /// The best of a few random starts after a trial; nil where a fit is so much work that the climb has to do.
  private func restarted(_ pattern: FactorPattern) throws -> Fit? {
    guard work(pattern) * Double(Self.finalSweeps) <= Self.restartWork else { return nil }
    let trials = try (0..<UInt64(Self.restarts)).map {
      try improved(gaussian(pattern, variant: $0), sweeps: Self.trialSweeps)
    }
    return trials.min { $0.discrepancy < $1.discrepancy }
  }

  /// The fits of a pattern and of all smaller ones on the way to it, by ascending parameters: each starts from the one before,
  /// with room to grow. That is as good as many starts from scratch, and gives the curve of the form for one fit's price.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  public func climb(to pattern: FactorPattern) throws -> [Fit] {
    var fits: [Fit] = []
    // Ranks of 1 stay out of the ladder, so that they stay 1, and patterns that are the same to the kernel climb alike.
    for rung in Self.ladder(to: pattern.reduced) {
      let start = fits.last?.factorization.grown(to: rung, seed: seed &+ UInt64(fits.count)) ?? gaussian(rung)
      fits.append(try improved(start, sweeps: sweepLimit))
    }
    return fits.map { $0.restored(to: pattern) }
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

  private func gaussian(_ pattern: FactorPattern, variant: UInt64 = 0) -> Factorization {
    .gaussian(pattern, norm: objective.norm, seed: seed &+ variant &* 0x9E37_79B9)
  }

  private func improved(_ fit: Fit, sweeps: Int, work: Double) throws -> Fit {
    let next = try improved(fit.factorization, sweeps: sweeps, work: work)
    return Fit(
      factorization: next.factorization, discrepancy: next.discrepancy, kernelDiscrepancy: next.kernelDiscrepancy,
      converged: next.converged, sweeps: fit.sweeps + next.sweeps)
  }

  /// - Parameter work: the multiply-accumulates that the sweeps may be, but for the first four.
  private func improved(_ start: Factorization, sweeps: Int, work: Double = Self.sweepWork) throws -> Fit {
    let affordable = max(4, Int(min(1e6, work / self.work(start.pattern))))
    // Ranks of 1 are no ranks, so that patterns which are the same to the kernel are the same to the fit.
    let reduced = Factorization(
      start.pattern.reduced,
      factors: start.factors.enumerated().map { $1.reshaped(start.pattern.reduced.factorShape($0)) })
    let solver = AlternatingLeastSquares(sweepLimit: min(sweeps, affordable))
    let roots = try objective.roots(of: reduced.pattern)
    var result = solver.fit(
      roots.isEmpty ? objective : objective.scaled(by: roots), from: roots.reduce(reduced) { $1.applied(to: $0) })
    result.factorization = roots.reduce(result.factorization) { $1.undone($0) }
    let factors = result.factorization.factors.enumerated().map { $1.reshaped(start.pattern.factorShape($0)) }
    return fit(
      Factorization(start.pattern, factors: factors), converged: result.converged, sweeps: result.losses.count - 1)
  }

  /// What factors come to, measured on their product.
  private func fit(_ factorization: Factorization, converged: Bool, sweeps: Int) -> Fit {
    let kernel = factorization.reconstruct()
    return Fit(
      factorization: factorization, discrepancy: objective.discrepancy(of: kernel),
      kernelDiscrepancy: kernel.relativeDiscrepancy(from: objective.kernel), converged: converged, sweeps: sweeps)
  }

  /// The multiply-accumulates of a trial, about.
  func trialWork(_ pattern: FactorPattern) -> Double { Double(Self.trialSweeps) * work(pattern) }

  /// The multiply-accumulates of one sweep, about: twice the kernel meets a factor, the cheapest first.
  private func work(_ pattern: FactorPattern) -> Double {
    let ranks = pattern.shapes.indices.map { pattern.rankExtents($0).reduce(1.0) { $0 * Double($1) } }
    let count = Double(pattern.kernelShape.reduce(1, *))
    let products = objective.metric.map { 8 * count * Double($0.shape[0]) } ?? 0
    return 2 * count * ranks.min().required("a pattern has a factor") + products
  }
}
