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
  /// For each convolution of the lowering whether its channels have scales of their own in the file.
  private let hasScales: [Bool]
  private let norm: Double
  private let equations: FitEquations
  private let roots: [ModeNorm.Roots]
  /// For each factor the output channel of each of its elements.
  private let channels: [[Int]]

  private var factorization: Factorization
  private var loss: Double
  private var integers: [[Int8]]
  private var grids: [ChannelGrids?]

  /// The sweeps over the factors that are not yet rounded, after each that is.
  private static let sweeps = 2

  /// What one kernel's factors became.
  struct Result {
    /// The factors with the values that the integers stand for.
    let factorization: Factorization
    /// For each convolution of the lowering the integers and the scales of this kernel's part of it.
    let parts: [(integers: [Int8], scales: [Float], levels: Levels)]
  }

  /// - Throws: `Failure` where LAPACK does not converge.
  static func rounded(
    _ start: Factorization, _ lowering: Lowering, towards objective: FitObjective, storage: WeightStorage,
    hasScales: [Bool], passes: Int
  ) throws -> Result {
    guard objective.norm > 0 else { return zero(lowering, storage, hasScales) }
    var rounding = try FactorRounding(start, lowering, objective, storage, hasScales)
    let plain = rounding.roundedPlainly()
    try rounding.run(passes: passes)
    // The equations stand for the norm of channels that are split into digits, so the norm itself decides.
    let results = [rounding.result, plain.result]
    let distances = results.map { objective.discrepancy(of: $0.factorization.reconstruct()) }
    return distances[1] < distances[0] ? results[1] : results[0]
  }

  private init(
    _ start: Factorization, _ lowering: Lowering, _ objective: FitObjective, _ storage: WeightStorage,
    _ hasScales: [Bool]
  ) throws {
    self.lowering = lowering
    self.storage = storage
    self.hasScales = hasScales
    norm = objective.norm
    roots = try objective.roots(of: start.pattern)
    equations = FitEquations(roots.isEmpty ? objective : objective.scaled(by: roots), start.pattern)
    factorization = start.scaled(by: 1 / norm)
    let convolutions = lowering.convolutions
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
      let grids = channelGrids(k, weights: Array(repeating: 1, count: values.count))
      result.put(
        values.indices.map { grids.levels.integer(nearest: values[$0] / grids.steps[channels[k][$0]]) }, grids, k)
    }
    result.place(nil)
    return result
  }

  /// The grids of a factor's channels.
  ///
  /// - Parameter weights: what an error of each element counts.
  private func channelGrids(_ k: Int, weights: [Double]) -> ChannelGrids {
    ChannelGrids(
      of: factorization.factors[k].elements, weights: weights, channels: channels[k],
      count: (channels[k].max() ?? 0) + 1, storage: storage, unit: unit)
  }

  /// Puts what integers stand for in the place of a factor; the equations do not know it yet.
  private mutating func put(_ integers: [Int8], _ grids: ChannelGrids, _ k: Int) {
    self.integers[k] = integers
    self.grids[k] = grids
    factorization.factors[k] = Tensor(
      shape: factorization.factors[k].shape,
      elements: integers.indices.map { Double(grids.levels.multiple(integers[$0])) * grids.steps[channels[k][$0]] })
  }

  /// - Parameter passes: over the rounded factors.
  private mutating func run(passes: Int) throws {
    factorization = factorization.balanced()
    place(nil)
    let order = lowering.convolutions.map(\.factor)
    for (position, k) in order.enumerated() {
      equalize(k)
      if position > 0 { solve(k) }
      try round(k)
      for _ in 0..<Self.sweeps {
        for later in order.dropFirst(position + 1) { solve(later) }
      }
    }
    for _ in 0..<passes {
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
    let feedback = try ErrorFeedback(outer: problem.outer, inner: problem.inner)
    let grids = channelGrids(k, weights: problem.weights)
    let rows = problem.gathered(factorization.factors[k].elements)
    let owners = problem.gathered(channels[k])
    let rounded = feedback.rounded(rows, steps: owners.map { grids.steps[$0] }, levels: grids.levels)
    var descent = GridDescent(
      feedback, rows, rounded.integers, channels: owners, steps: grids.steps, levels: grids.levels)
    descent.run(storable: Grid.storable(storage, unit))
    put(problem.scattered(descent.integers), ChannelGrids(steps: descent.steps, levels: grids.levels), k)
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
  private mutating func equalize(_ k: Int) {
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
    let grids = grids.map { $0.required("every factor is rounded") }
    var scales = lowering.convolutions.map { own in grids[own.factor].steps.map { Float($0 * unit) } }
    if let width = storage.width, storage.hasScaleOfEachChannel {
      for (position, own) in lowering.convolutions.enumerated() where !hasScales[position] {
        let implied = RoundedTensor.impliedScale(own.kernelShape, width)
        for channel in scales[position].indices {
          let product = Double(scales[position + 1][channel]) * Double(scales[position][channel]) / Double(implied)
          scales[position + 1][channel] = Float(Grid.storable(product, 1))
          scales[position][channel] = implied
        }
      }
    }
    var factors = factorization.factors
    let parts = lowering.convolutions.indices.map { position in
      let own = lowering.convolutions[position]
      let (k, levels) = (own.factor, grids[own.factor].levels)
      factors[k] = Tensor(
        shape: factors[k].shape,
        elements: integers[k].indices.map {
          Double(scales[position][channels[k][$0]] * Float(levels.multiple(integers[k][$0])))
        })
      let values = Tensor(shape: factors[k].shape, elements: integers[k].map(Double.init))
      return (
        integers: values.permuted(own.order).elements.map { Int8($0) }, scales: scales[position], levels: levels
      )
    }
    return Result(factorization: Factorization(factorization.pattern, factors: factors), parts: parts)
  }

  /// A kernel of zeros.
  private static func zero(_ lowering: Lowering, _ storage: WeightStorage, _ hasScales: [Bool]) -> Result {
    let pattern = lowering.pattern
    let grid = Grid(largest: 0, storage, 1)
    return Result(
      factorization: Factorization(
        pattern, factors: pattern.shapes.indices.map { Tensor(zeros: pattern.factorShape($0)) }),
      parts: zip(lowering.convolutions, hasScales).map { own, hasScales in
        let channels = own.kernelShape[0] / lowering.groups
        let implied = storage.width.map { RoundedTensor.impliedScale(own.kernelShape, $0) }
        let scale = !hasScales && storage.hasScaleOfEachChannel ? implied : nil
        return (
          integers: Array(repeating: 0, count: own.kernelShape.reduce(1, *) / lowering.groups),
          scales: Array(repeating: scale ?? Float(grid.step), count: channels), levels: grid.levels
        )
      })
  }
}

extension Double {
  /// The root of some degree.
  fileprivate func root(_ degree: Int) -> Double { Foundation.pow(self, 1 / Double(degree)) }
}
