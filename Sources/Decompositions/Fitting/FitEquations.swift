import LinearAlgebra
import TensorCore

/// The normal equations of all factors of a fit, for the factors that are in place.
///
/// The contractions with the kernel are nearly all of a fit's work. As long as the loss is far above the rounding of single
/// precision, those of a large kernel run in it, at twice the speed; the equations themselves are solved in double precision.
final class FitEquations {
  private let pattern: FactorPattern
  private let problems: [Problem]
  private let kernel: Tensor<Double>
  private let operands: [[Int]]
  private let extents: [Int]
  private var tree: Tree
  private var isLossLarge = true
  private var factors: [Tensor<Double>] = []
  /// The Gram matrices of factors that have not changed since.
  private var squares: [Int: Tensor<Double>] = [:]

  private enum Problem {
    case formed(FactorProblem)
    /// The equations in a norm over the input patch, where the matrix would be large.
    case stepped(MetricProblem)
  }

  private enum Tree {
    case single(ContractionTree<Float>)
    case double(ContractionTree<Double>)
  }

  /// The elements from which on a kernel is large.
  private static let largeKernel = 1 << 18
  /// The order of a matrix up to which it is formed and solved at once.
  private static let largestMatrix = 320
  /// Contractions in single precision are good to about 1e-6 of the kernel's squared norm.
  private static let leastSingleLoss = 1e-2
  /// Those with the metric serve steps that the next sweep corrects.
  private static let leastSingleMetricLoss = 1e-3

  init(_ objective: FitObjective, _ pattern: FactorPattern) {
    self.pattern = pattern
    let labels = EinsumLabels(pattern)
    let factors = Array(pattern.shapes.indices)
    kernel = pattern.form.rearranged(objective.weighted.map { $0 / objective.norm })
    operands = [factors] + factors.map(labels.factor)
    extents = labels.extents()
    tree =
      kernel.count >= Self.largeKernel
      ? .single(ContractionTree(operands, kernel: kernel.converted(to: Float.self), extents: extents))
      : .double(ContractionTree(operands, kernel: kernel, extents: extents))
    guard let metric = objective.metric(rearrangedFor: pattern.form) else {
      problems = factors.map { .formed(FactorProblem(pattern, factor: $0)) }
      return
    }
    let single = metric.converted(to: Float.self)
    problems = factors.map { k in
      let patch = pattern.modeCount(k) / max(1, pattern.shapes[k][0])
      return patch * pattern.rankExtents(k).reduce(1, *) > Self.largestMatrix
        ? .stepped(MetricProblem(pattern, factor: k, metric: metric, single: single))
        : .formed(FactorProblem(pattern, factor: k, metric: metric))
    }
  }

  /// Goes over to double precision, for good, where a loss needs it.
  func adjustPrecision(loss: Double) {
    isLossLarge = isLossLarge && loss > Self.leastSingleMetricLoss
    guard case .single = tree, !(loss > Self.leastSingleLoss) else { return }
    tree = .double(ContractionTree(operands, kernel: kernel, extents: extents))
    for (k, factor) in factors.enumerated() { put(factor, k) }
  }

  /// Puts the factors in place that differ from those there.
  func set(_ factorization: Factorization, only changed: Int? = nil) {
    let all = factorization.matricized
    for k in all.indices where changed.map({ $0 == k }) ?? (factors.isEmpty || factors[k] != all[k]) {
      put(all[k], k)
    }
    factors = all
  }

  private func put(_ factor: Tensor<Double>, _ k: Int) {
    squares[k] = nil
    switch tree {
    case .single(let tree): tree.set(factor.converted(to: Float.self), k)
    case .double(let tree): tree.set(factor, k)
    }
  }

  /// The least-squares solution for factor k, or a step towards it, with its loss.
  ///
  /// - Throws: `Failure` where the equations with the ridge are not positive definite.
  func solution(_ k: Int, ridge: Double) throws -> (factor: Tensor<Double>, loss: Double) {
    switch problems[k] {
    case .formed(let problem): try system(k, problem).solution(ridge: ridge)
    case .stepped(let problem):
      try problem.solution(target: target(k), factors, squares: square, ridge: ridge, isSingle: isLossLarge)
    }
  }

  /// The loss of the factors in place.
  func loss() -> Double {
    switch problems[0] {
    case .formed(let problem):
      let system = system(0, problem)
      return system.loss(of: factors[0].reshaped(system.target.shape))
    case .stepped(let problem): return problem.loss(target: target(0), factors)
    }
  }

  private func system(_ k: Int, _ problem: FactorProblem) -> NormalEquations {
    problem.normalEquations(target: target(k), factors, squares: square, pattern: pattern)
  }

  private func target(_ k: Int) -> Tensor<Double> {
    switch tree {
    case .single(let tree): tree.target(k).converted(to: Double.self)
    case .double(let tree): tree.target(k)
    }
  }

  private func square(_ k: Int) -> Tensor<Double> {
    if let square = squares[k] { return square }
    let square = factors[k].gram(ofColumns: true)
    squares[k] = square
    return square
  }
}
