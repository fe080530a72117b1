import LinearAlgebra
import TensorCore

/// The normal equations of all factors of a fit, for the factors that are in place.
///
/// The contractions with the kernel are nearly all of a fit's work. As long as the loss is far above the rounding of single
/// precision, those of a large kernel run in it, at twice the speed; the equations themselves are solved in double precision.
package final class FitEquations {
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

  package init(_ objective: FitObjective, _ pattern: FactorPattern) {
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
  package func set(_ factorization: Factorization, only changed: Int? = nil) {
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
  package func solution(_ k: Int, ridge: Double) throws -> (factor: Tensor<Double>, loss: Double) {
    switch problems[k] {
    case .formed(let problem): try system(k, problem).solution(ridge: ridge)
    case .stepped(let problem):
      try problem.solution(target: target(k), factors, squares: square, ridge: ridge, isSingle: isLossLarge)
    }
  }

  /// The loss of the factors in place.
  package func loss() -> Double {
    switch problems[0] {
    case .formed(let problem):
      let system = system(0, problem)
      return system.loss(of: factors[0].reshaped(system.target.shape))
    case .stepped(let problem): return problem.loss(target: target(0), factors)
    }
  }

  /// What errors of factor k count, the other factors held: matrices over some axes of the factor as its normal equations see it, whose
  /// Kronecker product is that of the equations. Where that would be large, one of the norm's parts on each factor's own digits stands for it.
  package func curvature(_ k: Int) -> (components: [NormalEquations.Component], shape: [Int]) {
    switch problems[k] {
    case .formed(let problem):
      let system = system(k, problem)
      return (system.components, system.target.shape)
    case .stepped(let problem): return problem.curvature(target: target(k), factors, squares: square)
    }
  }

  /// The mean of what errors of factor k count, for every value of one of its ranks.
  package func sizes(of k: Int, alongRank rank: Int) -> [Double] {
    let (components, shape) = curvature(k)
    let place = pattern.rankAxes[k].firstIndex(of: rank).required("factor \(k) has the rank \(rank)")
    let axis = shape.count - pattern.rankAxes[k].count + place
    guard let component = components.first(where: { $0.axes.contains(axis) }) else {
      return Array(repeating: 1, count: pattern.ranks[rank])
    }
    let count = component.gram.shape[0]
    let diagonal = Tensor<Double>(
      shape: component.axes.map { shape[$0] }, elements: (0..<count).map { component.gram.elements[$0 * count + $0] })
    let own = component.axes.firstIndex(of: axis).required("the component has the axis")
    let others = component.axes.indices.filter { $0 != own }
    let rows = diagonal.permuted([own] + others)
    let width = rows.count / pattern.ranks[rank]
    return (0..<pattern.ranks[rank]).map { value in
      rows.elements[value * width..<(value + 1) * width].reduce(0, +) / Double(max(1, width))
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
