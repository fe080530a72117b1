import Basics
import Foundation
import TensorCore

/// The factors of a kernel under a pattern. The approximation is their product over all ranks, one einsum whatever the
/// structure.
public struct Factorization: Sendable, Equatable {
  /// The shapes and ranks of the factors.
  public let pattern: FactorPattern
  /// Factor k has the shape `pattern.factorShape(k)`.
  public package(set) var factors: [Tensor<Double>]

  /// Puts the factors of a pattern together.
  ///
  /// - Precondition: the factors have the pattern's shapes.
  public init(_ pattern: FactorPattern, factors: [Tensor<Double>]) {
    precondition(
      factors.map(\.shape) == pattern.shapes.indices.map(pattern.factorShape),
      "\(factors.map(\.shape)) are no factors of \(pattern)")
    self.pattern = pattern
    self.factors = factors
  }

  /// The elements of all factors.
  public var parameterCount: Int { factors.reduce(0) { $0 + $1.count } }

  /// The kernel that the factors stand for, in the shape `pattern.kernelShape`.
  public func reconstruct() -> Tensor<Double> {
    let labels = EinsumLabels(pattern)
    let plan = Einsum(
      factors.indices.map(labels.factor), to: Array(factors.indices), extents: labels.extents())
    return pattern.form.kernel(from: plan(matricized))
  }

  /// The factors with all digits in one mode: (digits, ranks...).
  var matricized: [Tensor<Double>] {
    factors.indices.map {
      factors[$0].reshaped([pattern.modeCount($0)] + pattern.rankExtents($0))
    }
  }

  /// The same product with slices of equal norm: for every value of every rank, the slices of all factors that
  /// have this rank get the geometric mean of their norms. Of all scalings this one has the smallest factors.
  package func balanced() -> Factorization {
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

  /// Standard-normal factors, scaled so that their product has the norm `norm` in expectation of its square.
  ///
  /// Alternating fits from here end lower than from singular vectors for CP, TR and SeKron: on trained kernels by a tenth and
  /// more, and a product that starts with the kernel's own norm neither swamps nor vanishes under the ridge.
  static func gaussian(_ pattern: FactorPattern, norm: Double, seed: UInt64) -> Factorization {
    var generator = SplitMix64(seed: seed)
    let factors = pattern.shapes.indices.map {
      Tensor<Double>(gaussian: pattern.factorShape($0), using: &generator)
    }
    // The expectation of the squared norm: every element is a sum over all ranks of products of independent normals.
    let expected = Double(pattern.kernelShape.reduce(1, *)) * pattern.ranks.reduce(1.0) { $0 * Double($1) }
    return Factorization(pattern, factors: factors).scaled(by: norm / expected.squareRoot())
  }

  /// The same product under a pattern of the same form with larger ranks, with room to grow: for every new value of a rank the
  /// first factor that has it gets zeros and the others standard-normal slices as large as the old ones are on average. So a fit
  /// begins at this loss, and the first factor's least-squares solution finds what the new slices are good for.
  ///
  /// - Precondition: no rank is smaller than here.
  func grown(to larger: FactorPattern, seed: UInt64) -> Factorization {
    precondition(
      larger.form == pattern.form && zip(larger.ranks, pattern.ranks).allSatisfy { $0 >= $1 }, "ranks shrink")
    var generator = SplitMix64(seed: seed)
    let grown = factors.indices.map { k -> Tensor<Double> in
      let shape = larger.factorShape(k)
      // Digits stay whole, so the old values fill the leading block of (digits, ranks...).
      let digits = pattern.modeCount(k)
      let (old, new) = (pattern.rankExtents(k), larger.rankExtents(k))
      let isFirst = pattern.rankAxes[k].map { rank in !pattern.rankAxes[..<k].contains { $0.contains(rank) } }
      let scale = (factors[k].squaredNorm / Double(max(1, factors[k].count))).squareRoot()
      var elements = [Double](repeating: 0, count: shape.reduce(1, *))
      let perDigit = new.reduce(1, *)
      let oldPerDigit = old.reduce(1, *)
      for position in 0..<perDigit {
        var (rest, index, isZero, isOld) = (position, 0, false, true)
        var stride = 1
        for axis in new.indices.reversed() {
          let value = rest % new[axis]
          rest /= new[axis]
          if value >= old[axis] {
            isOld = false
            isZero = isZero || isFirst[axis]
          }
          index += value * stride
          stride *= old[axis]
        }
        for digit in 0..<digits {
          let target = digit * perDigit + position
          if isOld {
            elements[target] = factors[k].elements[digit * oldPerDigit + index]
          } else if !isZero {
            elements[target] = scale * generator.nextGaussian()
          }
        }
      }
      return Tensor(shape: shape, elements: elements)
    }
    return Factorization(larger, factors: grown)
  }

  /// All factors times one number, which multiplies the product by `scale`.
  package func scaled(by scale: Double) -> Factorization {
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
    let place = pattern.rankAxes[k].firstIndex(of: rank).required("factor \(k) has the rank \(rank)")
    let axis = pattern.shapes[k].count + place
    let shape = factors[k].shape
    return (shape[..<axis].reduce(1, *), shape[axis], shape[(axis + 1)...].reduce(1, *))
  }

  private func sliceNorms(factor k: Int, rank: Int) -> [Double] {
    let (outer, extent, inner) = layout(k, rank)
    let factor = factors[k]
    let elements = factor.elements.span
    // Sums for every (value, inner) run side by side.
    let plane = extent * inner
    var sums = [Double](repeating: 0, count: plane)
    var target = sums.mutableSpan
    for o in 0..<outer {
      for i in 0..<plane { target[i] += elements[o * plane + i] * elements[o * plane + i] }
    }
    return (0..<extent).map { value in sums[value * inner..<(value + 1) * inner].reduce(0, +).squareRoot() }
  }

  package mutating func scaleSlices(factor k: Int, rank: Int, by scales: [Double]) {
    let (outer, extent, inner) = layout(k, rank)
    let plane = extent * inner
    let repeated = scales.flatMap { Array(repeating: $0, count: inner) }
    var elements = factors[k].elements
    var target = elements.mutableSpan
    let scale = repeated.span
    for o in 0..<outer {
      for i in 0..<plane { target[o * plane + i] *= scale[i] }
    }
    factors[k] = Tensor(shape: factors[k].shape, elements: elements)
  }
}
