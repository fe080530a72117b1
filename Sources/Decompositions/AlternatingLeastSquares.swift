import Basics
import LinearAlgebra
import TensorCore

/// The one fit of all structures: every factor in turn becomes the least-squares solution while the others are held.
///
/// The loss ||W - What||^2 / ||W||^2 never rises: a step that would raise it, which only rounding and the ridge can do, is
/// dropped. The ridge bounds the factors: what is minimised is the loss plus ridge times the factors' squared norms (in
/// units where ||W|| = 1), so the components of a CP cannot grow without bound where no best approximation exists
/// (de Silva and Lim, 2008).
public struct AlternatingLeastSquares: Sendable {
  /// Passes over all factors at most.
  public var sweepLimit: Int
  /// The fit has converged when a sweep lowers the loss by less than this part of it.
  public var progress: Double
  /// The weight of the factors' squared norms against the loss.
  public var ridge: Double

  public init(sweepLimit: Int = 20, progress: Double = 1e-4, ridge: Double = 1e-8) {
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
    var current = start.scaled(by: 1 / norm).balanced()
    var losses: [Double] = []
    var converged = false
    for _ in 0..<sweepLimit where !converged {
      let before = losses.last
      var loss = before ?? .nan
      for (k, problem) in problems.enumerated() {
        let factors = current.matricized
        let equations = problem.normalEquations(factors)
        if losses.isEmpty {
          loss = max(0, 1 + equations.growth(from: Tensor(zeros: factors[k].shape), to: factors[k]))
          losses.append(loss)
        }
        guard let improved = try? equations.solution(ridge: ridge) else { continue }
        let growth = equations.growth(from: factors[k], to: improved)
        guard growth <= 0 else { continue }
        loss = max(0, loss + growth)
        current.factors[k] = improved.reshaped(current.factors[k].shape)
      }
      current = current.balanced()
      let previous = before ?? losses[0]
      losses.append(loss)
      converged = previous - loss <= progress * previous || loss <= Self.exactLoss
    }
    return Result(
      factorization: current.scaled(by: norm), losses: losses, converged: converged)
  }
}

extension Failure {
  static let kernelNotFinite = Failure(
    "kernel", "cannot be decomposed", "it holds NaN or infinity", remedy: "expected finite weights")
}
