import LinearAlgebra
import TensorCore

/// One factor's least-squares problem in a norm over the input patch, solved without its matrix.
///
/// The matrix ties the factor's part of the patch to its ranks: (patch x ranks) square, thousands for a layer of usual width. What is
/// needed of it is its product with a factor: the approximation that the factor gives, times S, contracted with the other factors
/// again. Conjugate gradients take a few of these products; the preconditioner is the same problem with S replaced by its part on the
/// factor's own digits, whose matrix is a Kronecker product of small ones.
struct MetricProblem {
  private let pattern: FactorPattern
  private let factor: Int
  /// S over (patch of factor 0, patch of factor 1, ...).
  private let metric: Tensor<Double>
  private let singleMetric: Tensor<Float>
  /// The metric of the factor's own digits in the input, with the trace over all others taken.
  private let marginal: Tensor<Double>
  /// The same of all factors' digits.
  private let marginals: [Tensor<Double>]
  /// The same problem in the norm of the weights.
  private let plain: FactorProblem
  private let expand: Einsum
  private let contract: Einsum
  private let outputs: [Int]
  private let patches: [Int]

  /// The products for one solution; the next sweep goes on from there.
  private static let steps = 6
  /// The residual, as a part of the right-hand side's, that is as good as none.
  private static let tolerance = 1e-6

  /// - Parameters:
  ///   - metric: as `FitObjective.metric(rearrangedFor:)` returns it.
  ///   - single: the same in single precision.
  init(_ pattern: FactorPattern, factor k: Int, metric: Tensor<Double>, single: Tensor<Float>) {
    self.pattern = pattern
    factor = k
    let all = Array(pattern.shapes.indices)
    outputs = all.map { pattern.shapes[$0][0] }
    patches = all.map { pattern.modeCount($0) / max(1, pattern.shapes[$0][0]) }
    let patch = patches.reduce(1, *)
    self.metric = metric.reshaped([patch, patch])
    singleMetric = single.reshaped([patch, patch])
    marginals = all.map { Self.marginal(of: metric, axis: $0) }
    marginal = marginals[k]
    plain = FactorProblem(pattern, factor: k)
    let labels = EinsumLabels(pattern)
    expand = Einsum(all.map(labels.factor), to: all, extents: labels.extents())
    contract = Einsum(
      [all] + all.filter { $0 != k }.map(labels.factor), to: labels.factor(k), extents: labels.extents())
  }

  /// A better factor than the one in place: the best, as far as a few steps lead there.
  ///
  /// - Parameters:
  ///   - target: W S E^T, as (digits, ranks...).
  ///   - factors: all factors as (digits, ranks...).
  ///   - squares: for a factor with one rank its Gram matrix.
  ///   - isSingle: whether products with S run in single precision, at twice the speed.
  /// - Returns: the factor and its loss ||W - F E||^2 in the norm, where ||W|| = 1.
  /// - Throws: `Failure` where the preconditioner is not positive definite.
  func solution(
    target: Tensor<Double>, _ factors: [Tensor<Double>], squares: (Int) -> Tensor<Double>, ridge: Double,
    isSingle: Bool
  ) throws -> (factor: Tensor<Double>, loss: Double) {
    let system = plain.normalEquations(target: target, factors, squares: squares, pattern: pattern)
    let split = [outputs[factor], patches[factor]] + pattern.rankExtents(factor)
    let solvers = try NormalEquations.Solver(
      system.components.map { ($0.axes.map { $0 + 1 }, $0.gram) } + [([1], marginal)], ridge: max(ridge, 1e-9))
    var x = factors[factor].elements
    let image = product(with: x, factors, isSingle)
    var residual = target.elements
    for i in residual.indices { residual[i] -= image[i] + ridge * x[i] }
    let goal = Self.tolerance * Self.tolerance * Self.dot(target.elements, target.elements)
    var direction: [Double] = []
    var previous = 0.0
    for _ in 0..<Self.steps where Self.dot(residual, residual) > goal {
      let preconditioned = try solvers.solve(Tensor(shape: split, elements: residual)).elements
      let scale = Self.dot(residual, preconditioned)
      guard scale > 0, scale.isFinite else { break }
      if direction.isEmpty {
        direction = preconditioned
      } else {
        let step = scale / previous
        for i in direction.indices { direction[i] = preconditioned[i] + step * direction[i] }
      }
      previous = scale
      var image = product(with: direction, factors, isSingle)
      for i in image.indices { image[i] += ridge * direction[i] }
      let curvature = Self.dot(direction, image)
      guard curvature > 0, curvature.isFinite else { break }
      let step = scale / curvature
      for i in x.indices {
        x[i] += step * direction[i]
        residual[i] -= step * image[i]
      }
    }
    // F H F^T is what is left of the target, so the loss takes no further product.
    var loss = 1.0
    for i in x.indices { loss -= x[i] * (target.elements[i] + residual[i] + ridge * x[i]) }
    return (Tensor(shape: target.shape, elements: x), max(0, loss))
  }

  /// The norm's matrix as a Kronecker product: as if the metric were that of its parts on each factor's own digits.
  ///
  /// - Parameters:
  ///   - target: W S E^T, as (digits, ranks...).
  ///   - factors: all factors as (digits, ranks...).
  ///   - squares: for a factor with one rank its Gram matrix, which the metric's part replaces.
  /// - Returns: the components over the axes of (out, patch, ranks...), and that shape.
  func curvature(
    target: Tensor<Double>, _ factors: [Tensor<Double>], squares: (Int) -> Tensor<Double>
  ) -> (components: [NormalEquations.Component], shape: [Int]) {
    let twins = factors.indices.map { m in
      let ranks = pattern.rankExtents(m).reduce(1, *)
      return marginals[m].applied(to: factors[m].reshaped([outputs[m], patches[m], ranks]), mode: 1)
        .reshaped(factors[m].shape)
    }
    let system = plain.normalEquations(
      target: target, factors, twins: twins, squares: { factors[$0].permuted([1, 0]).times(twins[$0]) },
      pattern: pattern)
    return (
      system.components.map { .init(axes: $0.axes.map { $0 + 1 }, gram: $0.gram) } + [.init(axes: [1], gram: marginal)],
      [outputs[factor], patches[factor]] + pattern.rankExtents(factor)
    )
  }

  /// ||W - F E||^2 for the factor in place.
  func loss(target: Tensor<Double>, _ factors: [Tensor<Double>]) -> Double {
    let x = factors[factor].elements
    return max(0, 1 + Self.dot(x, product(with: x, factors, false)) - 2 * Self.dot(x, target.elements))
  }

  /// F E S E^T for a factor F in place of the one there.
  private func product(with elements: [Double], _ factors: [Tensor<Double>], _ isSingle: Bool) -> [Double] {
    var operands = factors
    operands[factor] = Tensor(shape: factors[factor].shape, elements: elements)
    let count = outputs.count
    // (out 0, patch 0, out 1, patch 1, ...) to (outputs, patches).
    let order = (0..<count).map { 2 * $0 } + (0..<count).map { 2 * $0 + 1 }
    let apart = zip(outputs, patches).flatMap { [$0, $1] }
    let turned = expand(operands).reshaped(apart).permuted(order)
    let flat = turned.reshaped([outputs.reduce(1, *), patches.reduce(1, *)])
    let image =
      isSingle
      ? flat.converted(to: Float.self).times(singleMetric).converted(to: Double.self) : flat.times(metric)
    let back = image.reshaped(turned.shape).permuted(order.inversePermutation)
    operands.remove(at: factor)
    let modes = zip(outputs, patches).map { $0 * $1 }
    return contract([back.reshaped(modes)] + operands).elements
  }

  private static func marginal(of metric: Tensor<Double>, axis k: Int) -> Tensor<Double> {
    let order = metric.order / 2
    let extents = Array(metric.shape[..<order])
    let others = (0..<order).filter { $0 != k }
    let turned = metric.permuted(others + [k] + others.map { $0 + order } + [k + order])
    let (outer, own) = (others.reduce(1) { $0 * extents[$1] }, extents[k])
    var sum = [Double](repeating: 0, count: own * own)
    for o in 0..<outer {
      for i in 0..<own {
        let row = ((o * own + i) * outer + o) * own
        for j in 0..<own { sum[i * own + j] += turned.elements[row + j] / Double(outer) }
      }
    }
    return Tensor(shape: [own, own], elements: sum)
  }

  private static func dot(_ a: [Double], _ b: [Double]) -> Double {
    var sum = 0.0
    for i in a.indices { sum += a[i] * b[i] }
    return sum
  }
}
