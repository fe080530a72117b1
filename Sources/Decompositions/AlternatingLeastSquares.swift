import Basics
import LinearAlgebra
import TensorCore

/// The one fit of all structures: every factor in turn becomes the least-squares solution while the others are held.
///
/// The loss ||W - What||^2 / ||W||^2 never rises: a step that would raise it, which only rounding and the ridge can do, is
/// dropped. Before each sweep the last one is extrapolated as far as that lowers the loss, which shortens the long swamps
/// that alternation alone wades through (Bro, 1998). The ridge bounds the factors: what a sweep minimises is
/// loss * (1 + ridge * the factors' squared norms), in units where ||W|| = 1 and with the second loss that of the sweep's
/// start. So the components of a CP cannot grow without bound where no best approximation exists (de Silva and Lim,
/// 2008), single precision is enough to compute the layer, and an exact decomposition is still reached.
public struct AlternatingLeastSquares: Sendable {
  /// Passes over all factors at most.
  public var sweepLimit: Int
  /// The fit has converged when a sweep lowers the loss by less than this part of it.
  public var progress: Double
  /// The weight of the factors' squared norms, as a part of the loss.
  public var ridge: Double

  public init(sweepLimit: Int = 20, progress: Double = 1e-4, ridge: Double = 1e-3) {
    self.sweepLimit = sweepLimit
    self.progress = progress
    self.ridge = ridge
  }

  public struct Result: Sendable {
    public let factorization: Factorization
    /// ||W - What||^2 / ||W||^2 at the start and after every sweep, from the normal equations: good to about 1e-15, so
    /// a report takes the discrepancy of the reconstruction instead.
    public let losses: [Double]
    public let converged: Bool
  }

  /// Keeps singular normal equations solvable.
  private static let leastRidge = 1e-13
  /// A loss below this is rounding.
  private static let exactLoss = 1e-15

  /// - Parameters:
  ///   - kernel: (out, in, spatial...), the shape that the pattern of `start` gives.
  /// - Throws: `Failure` when the kernel holds NaN or infinity.
  public func fit(_ kernel: Tensor<Double>, from start: Factorization) throws -> Result {
    guard kernel.isFinite else { throw Failure.kernelNotFinite }
    let norm = kernel.norm
    guard norm > 0 else {
      let zero = Factorization(
        start.pattern, factors: start.factors.map { Tensor(zeros: $0.shape) })
      return Result(factorization: zero, losses: [0], converged: true)
    }
    let pattern = start.pattern
    let target = pattern.rearranged(kernel.map { $0 / norm })
    let problems = pattern.shapes.indices.map { FactorProblem(target, pattern, factor: $0) }
    var state = State(start.scaled(by: 1 / norm).balanced(), problems[0])
    var losses = [state.loss]
    var converged = state.loss <= Self.exactLoss
    var previous: Factorization?
    var step = 1.0
    while !converged, losses.count <= sweepLimit {
      let ridge = max(Self.leastRidge, ridge * state.loss)
      if let origin = previous {
        let trial = State(state.factorization.extrapolated(from: origin, by: step), problems[0])
        let isBetter = trial.loss < state.loss && trial.objective(ridge) < state.objective(ridge)
        if isBetter { state = trial }
        step *= isBetter ? 1.5 : 0.5
      }
      previous = state.factorization
      for (k, problem) in problems.enumerated() { state.update(k, problem, ridge: ridge) }
      state.factorization = state.factorization.balanced()
      let before = losses[losses.count - 1]
      losses.append(state.loss)
      converged = before - state.loss <= progress * before || state.loss <= Self.exactLoss
    }
    return Result(
      factorization: state.factorization.scaled(by: norm), losses: losses, converged: converged)
  }

  /// The factors with their loss.
  private struct State {
    var factorization: Factorization
    private(set) var loss: Double

    /// - Parameter problem: that of factor 0.
    init(_ factorization: Factorization, _ problem: FactorProblem) {
      self.factorization = factorization
      let factors = factorization.matricized
      let none = Tensor<Double>(zeros: factors[0].shape)
      loss = max(0, 1 + problem.normalEquations(factors).growth(from: none, to: factors[0]))
    }

    func objective(_ ridge: Double) -> Double {
      factorization.factors.reduce(loss) { $0 + ridge * $1.squaredNorm }
    }

    /// Puts the least-squares solution in the place of factor k, unless that raises the loss.
    mutating func update(_ k: Int, _ problem: FactorProblem, ridge: Double) {
      let factors = factorization.matricized
      let equations = problem.normalEquations(factors)
      guard let solution = try? equations.solution(ridge: ridge) else { return }
      let growth = equations.growth(from: factors[k], to: solution)
      guard growth <= 0 else { return }
      loss = max(0, loss + growth)
      factorization.factors[k] = solution.reshaped(factorization.factors[k].shape)
    }
  }
}

extension Failure {
  static let kernelNotFinite = Failure(
    "kernel", "cannot be decomposed", "it holds NaN or infinity", remedy: "expected finite weights")
}
