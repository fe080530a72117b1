import Basics
import LinearAlgebra
import TensorCore

/// The one fit of all structures: every factor in turn becomes the least-squares solution while the others are held.
///
/// Sweeps begin ahead of where the last one ended, by Nesterov's momentum; where that raises the loss, momentum starts anew from
/// the last good factors (Mitchell, Ye and De Sterck, Numerical Linear Algebra with Applications 27, 2020). So the loss
/// ||W - What||^2 / ||W||^2, in the objective's norm, never rises, and the long swamps of plain alternation take a fraction
/// of the sweeps.
///
/// The ridge bounds the factors: what a sweep minimises is loss * (1 + ridge * the factors' squared norms), in units where
/// ||W|| = 1 and with the second loss that of the last sweep. So the components of a CP cannot grow without bound where no
/// best approximation exists (de Silva and Lim, 2008), single precision is enough to compute the layer, and an exact
/// decomposition is still reached. Structures that always have a best approximation need no such bound.
public struct AlternatingLeastSquares: Sendable {
  /// Passes over all factors at most.
  public var sweepLimit: Int
  /// The fit has converged when sweeps lower the loss by less than this part of it, each of the last few.
  public var progress: Double
  /// The weight of the factors' squared norms, as a part of the loss.
  public var ridge: Double

  /// A solver with the numbers that fits of trained kernels take.
  public init(sweepLimit: Int = 20, progress: Double = 1e-4, ridge: Double = 1e-3) {
    self.sweepLimit = sweepLimit
    self.progress = progress
    self.ridge = ridge
  }

  /// The outcome of one fit.
  public struct Result: Sendable {
    /// The factors after the last good sweep.
    public internal(set) var factorization: Factorization
    /// ||W - What||^2 / ||W||^2 at the start and after every sweep, from the normal equations: good to about 1e-15, so
    /// a report takes the discrepancy of the reconstruction instead.
    public let losses: [Double]
    /// Whether sweeps no longer lowered the loss, or the decomposition is exact.
    public let converged: Bool
  }

  /// Keeps singular normal equations solvable.
  private static let leastRidge = 1e-13
  /// A loss below this is rounding.
  private static let exactLoss = 1e-15
  /// The sweeps over which progress is averaged: an extrapolation that fails makes a single one look idle.
  private static let patience = 4

  /// Improves factors until sweeps no longer lower the loss, or the sweeps are used up.
  ///
  /// - Parameter start: factors of a pattern whose kernel shape is the objective's.
  public func fit(_ objective: FitObjective, from start: Factorization) -> Result {
    let norm = objective.norm
    guard norm > 0 else {
      let zero = Factorization(
        start.pattern, factors: start.factors.map { Tensor(zeros: $0.shape) })
      return Result(factorization: zero, losses: [0], converged: true)
    }
    let equations = FitEquations(objective, start.pattern)
    let isTree = start.pattern.form.isTree
    var best = State(start.scaled(by: 1 / norm).balanced(), equations)
    var losses = [best.loss]
    var converged = best.loss <= Self.exactLoss
    var previous = best.factorization
    var momentum = 0.0
    while !converged, losses.count <= sweepLimit {
      equations.adjustPrecision(loss: best.loss)
      let ridge = isTree ? Self.leastRidge : max(Self.leastRidge, ridge * best.loss)
      var next = best
      if momentum > 0 {
        next.extrapolate(from: previous, by: momentum / (momentum + 3))
        equations.set(next.factorization)
      }
      for k in start.factors.indices { next.update(k, equations, ridge: ridge) }
      if next.loss <= best.loss {
        previous = best.factorization
        best = next
        best.factorization = next.factorization.balanced()
        momentum += 1
      } else {
        momentum = 0
      }
      equations.set(best.factorization)
      losses.append(best.loss)
      let window = losses.suffix(Self.patience + 1)
      let before = window.first.required("the start has a loss")
      let isIdle = window.count > Self.patience && before - best.loss <= progress * before * Double(Self.patience)
      converged = isIdle || best.loss <= Self.exactLoss
    }
    return Result(
      factorization: best.factorization.scaled(by: norm), losses: losses, converged: converged)
  }

  /// The factors with their loss.
  private struct State {
    var factorization: Factorization
    private(set) var loss: Double

    init(_ factorization: Factorization, _ equations: FitEquations) {
      self.factorization = factorization
      equations.set(factorization)
      loss = equations.loss()
    }

    /// Goes on beyond here; the loss there is not known until the first factor is solved for.
    mutating func extrapolate(from origin: Factorization, by step: Double) {
      factorization = factorization.extrapolated(from: origin, by: step)
      loss = .infinity
    }

    /// Puts the least-squares solution in the place of factor k, unless that raises the loss.
    mutating func update(_ k: Int, _ equations: FitEquations, ridge: Double) {
      guard let (solution, loss) = try? equations.solution(k, ridge: ridge), loss <= self.loss else { return }
      self.loss = loss
      factorization.factors[k] = solution.reshaped(factorization.factors[k].shape)
      equations.set(factorization, only: k)
    }
  }
}
