import Foundation
import TensorCore

/// The factors of a kernel under a pattern. The approximation is their product over all ranks, one einsum whatever the
/// structure.
public struct Factorization: Sendable, Equatable {
  public let pattern: FactorPattern
  /// Factor k has the shape `pattern.factorShape(k)`.
  public internal(set) var factors: [Tensor<Double>]

  /// - Precondition: the factors have the pattern's shapes.
  public init(_ pattern: FactorPattern, factors: [Tensor<Double>]) {
    precondition(
      factors.map(\.shape) == pattern.shapes.indices.map(pattern.factorShape),
      "\(factors.map(\.shape)) are no factors of \(pattern)")
    self.pattern = pattern
    self.factors = factors
  }

  public var parameterCount: Int { factors.reduce(0) { $0 + $1.count } }

  /// The kernel that the factors stand for, in the shape `pattern.kernelShape`.
  public func reconstruct() -> Tensor<Double> {
    let labels = EinsumLabels(pattern)
    let plan = Einsum(
      factors.indices.map(labels.factor), to: Array(factors.indices), extents: labels.extents)
    return pattern.kernel(from: plan(matricized))
  }

  /// The factors with all digits in one mode: (digits, ranks...).
  var matricized: [Tensor<Double>] {
    factors.indices.map {
      factors[$0].reshaped([pattern.modeCount($0)] + pattern.rankExtents($0))
    }
  }

  /// The same product with slices of equal norm: for every value of every rank, the slices of all factors that
  /// have this rank get the geometric mean of their norms. Of all scalings this one has the smallest factors.
  func balanced() -> Factorization {
    var result = self
    for rank in pattern.ranks.indices {
      let members = factors.indices.filter { pattern.rankAxes[$0].contains(rank) }
      let norms = members.map { result.sliceNorms(factor: $0, rank: rank) }
      var scales = norms
      for value in 0..<pattern.ranks[rank] {
        let logarithms = norms.map { log($0[value]) }
        let mean = exp(logarithms.reduce(0, +) / Double(members.count))
        for member in members.indices {
          let scale = mean / norms[member][value]
          scales[member][value] = mean > 0 && scale.isFinite ? scale : 1
        }
      }
      for (member, scale) in zip(members, scales) {
        result.scaleSlices(factor: member, rank: rank, by: scale)
      }
    }
    return result
  }

  /// All factors times one number, which multiplies the product by `scale`.
  func scaled(by scale: Double) -> Factorization {
    let share = pow(scale, 1 / Double(factors.count))
    return Factorization(pattern, factors: factors.map { $0.map { $0 * share } })
  }

  /// The factors after going on from `origin` to here and beyond by `step` times that way.
  func extrapolated(from origin: Factorization, by step: Double) -> Factorization {
    Factorization(
      pattern,
      factors: zip(factors, origin.factors).map { here, there in
        Tensor(
          shape: here.shape,
          elements: zip(here.elements, there.elements).map { $0 + step * ($0 - $1) })
      })
  }

  /// The extents around the axis of `rank` in factor k.
  private func layout(_ k: Int, _ rank: Int) -> (outer: Int, extent: Int, inner: Int) {
    let axis = pattern.shapes[k].count + (pattern.rankAxes[k].firstIndex(of: rank) ?? 0)
    let shape = factors[k].shape
    return (shape[..<axis].reduce(1, *), shape[axis], shape[(axis + 1)...].reduce(1, *))
  }

  private func sliceNorms(factor k: Int, rank: Int) -> [Double] {
    let (outer, extent, inner) = layout(k, rank)
    let elements = factors[k].elements
    var sums = [Double](repeating: 0, count: extent)
    for o in 0..<outer {
      for value in 0..<extent {
        let start = (o * extent + value) * inner
        for i in start..<start + inner { sums[value] += elements[i] * elements[i] }
      }
    }
    return sums.map { $0.squareRoot() }
  }

  private mutating func scaleSlices(factor k: Int, rank: Int, by scales: [Double]) {
    let (outer, extent, inner) = layout(k, rank)
    var elements = factors[k].elements
    for o in 0..<outer {
      for value in 0..<extent {
        let start = (o * extent + value) * inner
        for i in start..<start + inner { elements[i] *= scales[value] }
      }
    }
    factors[k] = Tensor(shape: factors[k].shape, elements: elements)
  }
}

/// The labels of a pattern's einsums: label k is the mode of factor k, behind them come the ranks, and behind those, for
/// Gram matrices, the ranks a second time.
struct EinsumLabels {
  let pattern: FactorPattern

  init(_ pattern: FactorPattern) { self.pattern = pattern }

  var extents: [Int] {
    pattern.shapes.indices.map(pattern.modeCount) + pattern.ranks + pattern.ranks
  }

  func factor(_ k: Int) -> [Int] { [k] + ranks(k) }
  func ranks(_ k: Int) -> [Int] { pattern.rankAxes[k].map { pattern.factorCount + $0 } }
  /// Factor k with the second set of ranks.
  func twin(_ k: Int) -> [Int] { [k] + ranks(k).map(twin(ofRank:)) }
  func twin(ofRank label: Int) -> Int { label + pattern.ranks.count }
}
