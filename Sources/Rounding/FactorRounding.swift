import Basics
import Decompositions
import Foundation
import LinearAlgebra
import TensorCore

/// Rounds the factors of one kernel, in the norm in which they were fitted.
///
/// In the norm of a fit the layer's error is quadratic in each factor, the others held. So the factors are rounded in the order in which they
/// run, each with error feedback in the matrix of its own normal equations; those that are not rounded yet are solved for again and take up
/// much of the error. Then each factor in turn is solved for and rounded once more, as long as that helps.
struct FactorRounding {
  private let lowering: Lowering
  private let storage: WeightStorage
  private let norm: Double
  private let equations: FitEquations
  private let roots: [ModeNorm.Roots]
  /// For each factor its place among the convolutions, with the output channel of each of its elements.
  private let places: [Int]
  private let channels: [[Int]]

  private var factorization: Factorization
  private var loss: Double
  private var integers: [[Int8]]
  private var grids: [ChannelGrids?]

  /// What is added to the diagonals of the normal equations when errors are fed back, as a part of their means.
  private static let damping = 0.01
  /// The sweeps over the factors that are not yet rounded, after each that is.
  private static let sweeps = 2
  /// The passes over the rounded factors.
  private static let passes = 2

  /// What one kernel's factors became.
  struct Result {
    /// The factors with the values that the integers stand for.
    let factorization: Factorization
    /// For each convolution of the lowering the integers and the scales of this kernel's part of it.
    let parts: [(integers: [Int8], scales: [Float], levels: Levels)]
  }

  /// - Throws: `Failure` where LAPACK does not converge.
  static func rounded(
    _ start: Factorization, _ lowering: Lowering, towards objective: FitObjective, storage: WeightStorage
  ) throws -> Result {
    guard objective.norm > 0 else { return zero(lowering, storage) }
    var rounding = try FactorRounding(start, lowering, objective, storage)
    let plain = rounding.roundedPlainly()
    try rounding.run()
    // The normal equations may know the norm of the outputs by factors of it alone.
    let results = (plain: plain.result, own: rounding.result)
    let discrepancies = (
      plain: objective.discrepancy(of: results.plain.factorization.reconstruct()),
      own: objective.discrepancy(of: results.own.factorization.reconstruct())
    )
    return discrepancies.plain < discrepancies.own ? results.plain : results.own
  }

  private init(_ start: Factorization, _ lowering: Lowering, _ objective: FitObjective, _ storage: WeightStorage) throws {
    self.lowering = lowering
    self.storage = storage
    norm = objective.norm
    roots = try objective.roots(of: start.pattern)
    equations = FitEquations(roots.isEmpty ? objective : objective.scaled(by: roots), start.pattern)
    factorization = start.scaled(by: 1 / norm)
    let convolutions = lowering.convolutions
    places = start.pattern.shapes.indices.map { k in convolutions.firstIndex { $0.factor == k } ?? 0 }
    channels = start.pattern.shapes.indices.map { k in
      convolutions.first { $0.factor == k }?.channels(ofShape: start.pattern.factorShape(k)) ?? []
    }
    integers = start.factors.map { Array(repeating: 0, count: $0.count) }
    grids = start.factors.map { _ in nil }
    loss = .infinity
    place(nil)
  }

  /// What a number of a factor is multiplied by to be that of the kernel's own factors.
  private var unit: Double { norm.root(factorization.factors.count) }

  /// The factors as the equations see them: with their parts of the norm of output channels.
  private mutating func place(_ changed: Int?) {
    equations.set(roots.reduce(factorization) { $1.applied(to: $0) }, only: changed)
    loss = equations.loss()
  }

  /// Every factor rounded by itself.
  private func roundedPlainly() -> FactorRounding {
    var result = self
    for k in factorization.factors.indices {
      let values = factorization.factors[k].elements
      let grids = ChannelGrids(
        of: values, weights: Array(repeating: 1, count: values.count), channels: channels[k],
        count: (channels[k].max() ?? 0) + 1, storage: storage, unit: unit)
      let (steps, levels) = (grids.steps, grids.levels)
      result.grids[k] = grids
      result.integers[k] = values.indices.map { levels.integer(nearest: values[$0] / steps[channels[k][$0]]) }
      result.factorization.factors[k] = Tensor(
        shape: factorization.factors[k].shape,
        elements: values.indices.map { Double(levels.multiple(result.integers[k][$0])) * steps[channels[k][$0]] })
    }
    result.place(nil)
    return result
  }

  private mutating func run() throws {
    factorization = factorization.balanced()
    place(nil)
    let order = lowering.convolutions.map(\.factor)
    for (position, k) in order.enumerated() {
      try equalize(k)
      if position > 0 { solve(k) }
      try round(k)
      for _ in 0..<Self.sweeps {
        for later in order.dropFirst(position + 1) { solve(later) }
      }
    }
    for _ in 0..<Self.passes {
      let before = loss
      for k in order { try roundAgain(k) }
      guard loss < before * 0.999 else { break }
    }
  }

  /// Puts the least-squares solution in the place of a factor, unless that raises the loss.
  private mutating func solve(_ k: Int) {
    guard let (solution, loss) = try? equations.solution(k, ridge: 1e-9), loss <= self.loss else { return }
    set(k, solution)
    self.loss = loss
  }

  /// - Parameter solution: as the equations have it.
  private mutating func set(_ k: Int, _ solution: Tensor<Double>) {
    var turned = roots.reduce(factorization) { $1.applied(to: $0) }
    turned.factors[k] = solution.reshaped(factorization.factors[k].shape)
    factorization.factors[k] = roots.reduce(turned) { $1.undone($0) }.factors[k]
    equations.set(turned, only: k)
  }

  private mutating func round(_ k: Int) throws {
    let (components, shape) = equations.curvature(k)
    let problem = RoundingProblem(shape, components)
    let feedback = try ErrorFeedback(outer: problem.outer, inner: problem.inner, damping: Self.damping)
    let values = factorization.factors[k]
    let grids = ChannelGrids(
      of: values.elements, weights: problem.weights, channels: channels[k],
      count: (channels[k].max() ?? 0) + 1, storage: storage, unit: unit)
    let perElement = channels[k].map { grids.steps[$0] }
    let rows = problem.gathered(values.elements)
    let rounded = feedback.rounded(rows, steps: problem.gathered(perElement), levels: grids.levels)
    integers[k] = problem.scattered(rounded.integers)
    self.grids[k] = grids
    factorization.factors[k] = Tensor(
      shape: values.shape, elements: integers[k].indices.map { Double(grids.levels.multiple(integers[k][$0])) * perElement[$0] })
    place(k)
  }

  /// Solves for a rounded factor and rounds it again; undone where that does not lower the loss.
  private mutating func roundAgain(_ k: Int) throws {
    let kept = (factorization.factors[k], integers[k], grids[k], loss)
    solve(k)
    try round(k)
    guard !(loss < kept.3) else { return }
    (factorization.factors[k], integers[k], grids[k]) = (kept.0, kept.1, kept.2)
    place(k)
  }

  /// Scales the slices of the ranks over which a factor sums so that errors of its numbers count alike: what comes in then has unit size in
  /// every channel, and the factors before it have a scale for each of these channels anyway.
  private mutating func equalize(_ k: Int) throws {
    let order = lowering.convolutions.map(\.factor)
    let position = order.firstIndex(of: k) ?? 0
    let earlier = order[..<position]
    // The ranks that only this factor and earlier, rounded ones have cannot be scaled any more; those that later ones sum over can.
    guard let next = order.dropFirst(position + 1).first else { return }
    let pattern = factorization.pattern
    for rank in pattern.rankAxes[k] where pattern.rankAxes[next].contains(rank) {
      guard !earlier.contains(where: { pattern.rankAxes[$0].contains(rank) }) else { continue }
      let scales = equations.sizes(of: next, alongRank: rank).map { $0 > 0 && $0.isFinite ? 1 / $0.squareRoot() : 1 }
      factorization.scaleSlices(factor: k, rank: rank, by: scales)
      factorization.scaleSlices(factor: next, rank: rank, by: scales.map { 1 / $0 })
    }
    place(nil)
  }

  private var result: Result {
    let scaled = grids.map { grids in
      let grids = grids.required("every factor is rounded")
      return (scales: grids.steps.map { Float($0 * unit) }, levels: grids.levels)
    }
    let factors = factorization.factors.indices.map { k in
      let (scales, levels) = scaled[k]
      return Tensor(
        shape: factorization.factors[k].shape,
        elements: integers[k].indices.map {
          Double(scales[channels[k][$0]] * Float(levels.multiple(integers[k][$0])))
        })
    }
    let parts = lowering.convolutions.map { own in
      let k = own.factor
      let values = Tensor(shape: factorization.factors[k].shape, elements: integers[k].map(Double.init))
      return (
        integers: values.permuted(own.order).elements.map { Int8($0) }, scales: scaled[k].scales,
        levels: scaled[k].levels
      )
    }
    return Result(factorization: Factorization(factorization.pattern, factors: factors), parts: parts)
  }

  /// A kernel of zeros.
  private static func zero(_ lowering: Lowering, _ storage: WeightStorage) -> Result {
    let pattern = lowering.pattern
    let grid = Grid(largest: 0, storage, 1)
    return Result(
      factorization: Factorization(
        pattern, factors: pattern.shapes.indices.map { Tensor(zeros: pattern.factorShape($0)) }),
      parts: lowering.convolutions.map { own in
        let channels = own.kernelShape[0] / lowering.groups
        return (
          integers: Array(repeating: 0, count: own.kernelShape.reduce(1, *) / lowering.groups),
          scales: Array(repeating: Float(grid.step), count: channels), levels: grid.levels
        )
      })
  }
}

extension Double {
  /// The root of some degree.
  fileprivate func root(_ degree: Int) -> Double { Foundation.pow(self, 1 / Double(degree)) }
}
