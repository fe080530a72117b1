import LinearAlgebra
import TensorCore

/// The normal equations of all factors of a fit, for the factors that are in place.
///
/// The contractions with the kernel are nearly all of a fit's work. As long as the loss is far above the rounding of single
/// precision, those of a large kernel run in it, at twice the speed; the equations themselves are solved in double precision.
final class FitEquations {
  private let pattern: FactorPattern
  private let problems: [FactorProblem]
  private let kernel: Tensor<Double>
  private let operands: [[Int]]
  private let extents: [Int]
  private var tree: Tree
  private var factors: [Tensor<Double>] = []
  /// The Gram matrices of factors that have not changed since.
  private var squares: [Int: Tensor<Double>] = [:]

  private enum Tree {
    case single(ContractionTree<Float>)
    case double(ContractionTree<Double>)
  }

  /// The elements from which on a kernel is large.
  private static let largeKernel = 1 << 18
  /// Contractions in single precision are good to about 1e-6 of the kernel's squared norm.
  private static let leastSingleLoss = 1e-2

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
    if let metric = objective.metric(rearrangedFor: pattern.form) {
      problems = factors.map { FactorProblem(pattern, factor: $0, metric: metric) }
    } else {
      problems = factors.map { FactorProblem(pattern, factor: $0) }
    }
  }

  /// Goes over to double precision, for good, where a loss needs it.
  func adjustPrecision(loss: Double) {
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

  /// The normal equations of factor k.
  func system(_ k: Int) -> NormalEquations {
    let target =
      switch tree {
      case .single(let tree): tree.target(k).converted(to: Double.self)
      case .double(let tree): tree.target(k)
      }
    return problems[k].normalEquations(target: target, factors, squares: square, pattern: pattern)
  }

  private func square(_ k: Int) -> Tensor<Double> {
    if let square = squares[k] { return square }
    let square = factors[k].gram(ofColumns: true)
    squares[k] = square
    return square
  }
}
