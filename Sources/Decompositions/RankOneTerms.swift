import Basics
import Foundation
import LinearAlgebra
import TensorCore

/// The leading terms of W[i, j, s] = sum w u_i v_j t_s that two nested SVDs give: first by the last mode, then each of its
/// singular vectors, as a matrix, by itself. All terms are orthogonal, so the largest weights lose least. This is the
/// recursion of SeKron with CP's shapes, and the start of CP.
struct RankOneTerms {
  private var terms: [(weight: Double, u: [Double], v: [Double], t: [Double])] = []

  /// - Parameter tensor: order 3.
  init(_ tensor: Tensor<Double>, limit: Int) throws {
    guard tensor.isFinite else { throw Failure.kernelNotFinite }
    let (rows, columns, last) = (tensor.shape[0], tensor.shape[1], tensor.shape[2])
    let unfolding = tensor.reshaped([rows * columns, last])
    let outer = try SymmetricEigendecomposition(unfolding.times(unfolding, transposed: true))
    // Column i: the i-th singular vector times its singular value, as a (rows x columns) matrix.
    let slices = outer.vectors.times(unfolding, otherTransposed: true)
    for i in 0..<last where outer.values[i] > 0 {
      let vector = Array(outer.vectors.elements[i * last..<(i + 1) * last])
      let slice = Tensor(
        shape: [rows, columns],
        elements: Array(slices.elements[i * rows * columns..<(i + 1) * rows * columns]))
      let isWide = rows <= columns
      let gram = slice.times(slice, transposed: !isWide, otherTransposed: isWide)
      let inner = try SymmetricEigendecomposition(gram)
      let others = isWide ? inner.vectors.times(slice) : inner.vectors.times(slice, otherTransposed: true)
      let (side, other) = (min(rows, columns), max(rows, columns))
      for j in 0..<min(side, limit) {
        let near = Array(inner.vectors.elements[j * side..<(j + 1) * side])
        let far = Array(others.elements[j * other..<(j + 1) * other])
        let weight = far.reduce(0) { $0 + $1 * $1 }.squareRoot()
        guard weight > 0 else { continue }
        let unit = far.map { $0 / weight }
        terms.append((weight, isWide ? near : unit, isWide ? unit : near, vector))
      }
    }
    let order = terms.indices.sorted { (-terms[$0].weight, $0) < (-terms[$1].weight, $1) }
    terms = order.prefix(limit).map { terms[$0] }
  }

  /// The components of `previous`, then the terms, then zeros up to the pattern's rank.
  func appended(to previous: Factorization?, pattern: FactorPattern) -> Factorization {
    let rank = pattern.ranks[0]
    let old = previous?.pattern.ranks[0] ?? 0
    let factors = pattern.shapes.indices.map { k in
      let extent = pattern.modeCount(k)
      var elements = [Double](repeating: 0, count: extent * rank)
      for i in 0..<extent {
        if let previous {
          for r in 0..<old { elements[i * rank + r] = previous.factors[k].elements[i * old + r] }
        }
        for (r, term) in terms.enumerated() {
          let vector = [term.u, term.v, term.t][k]
          elements[i * rank + old + r] = vector[i] * pow(term.weight, 1.0 / 3)
        }
      }
      return Tensor(shape: pattern.factorShape(k), elements: elements)
    }
    return Factorization(pattern, factors: factors)
  }
}
