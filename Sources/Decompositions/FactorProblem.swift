import TensorCore

/// The contractions that give one factor's normal equations, planned once for a fit.
struct FactorProblem {
  private let factor: Int
  private let others: [Int]
  private var target: Einsum
  private let grams: [(members: [Int], axes: [Int], einsum: Einsum)]

  /// - Parameter kernel: rearranged to one mode for each factor.
  init(_ kernel: Tensor<Double>, _ pattern: FactorPattern, factor k: Int) {
    let labels = EinsumLabels(pattern)
    factor = k
    let others = pattern.shapes.indices.filter { $0 != k }
    self.others = others
    target = Einsum(
      [Array(pattern.shapes.indices)] + others.map(labels.factor), to: labels.factor(k),
      extents: labels.extents)
    target.fix(0, to: kernel)
    grams = Self.components(of: pattern, without: k).map { members in
      let axes = pattern.rankAxes[k].indices.filter { axis in
        members.contains { pattern.rankAxes[$0].contains(pattern.rankAxes[k][axis]) }
      }
      let ranks = axes.map { labels.ranks(k)[$0] }
      let einsum = Einsum(
        members.map(labels.factor) + members.map(labels.twin),
        to: ranks + ranks.map(labels.twin(ofRank:)), extents: labels.extents)
      return (members, axes, einsum)
    }
  }

  /// - Parameter factors: all factors as (digits, ranks...).
  func normalEquations(_ factors: [Tensor<Double>]) -> NormalEquations {
    NormalEquations(
      target: target(others.map { factors[$0] }),
      components: grams.map { members, axes, einsum in
        let operands = members.map { factors[$0] }
        let extent = axes.reduce(1) { $0 * factors[factor].shape[$1 + 1] }
        return .init(axes: axes, gram: einsum(operands + operands).reshaped([extent, extent]))
      })
  }

  /// The other factors in groups that share no rank with each other.
  private static func components(of pattern: FactorPattern, without k: Int) -> [[Int]] {
    var components: [(members: [Int], ranks: Set<Int>)] = []
    for other in pattern.shapes.indices where other != k {
      let ranks = Set(pattern.rankAxes[other])
      let touching = components.filter { !$0.ranks.isDisjoint(with: ranks) }
      components.removeAll { !$0.ranks.isDisjoint(with: ranks) }
      components.append(
        (
          (touching.flatMap(\.members) + [other]).sorted(),
          touching.reduce(ranks) { $0.union($1.ranks) }
        ))
    }
    precondition(
      components.allSatisfy { !$0.ranks.isDisjoint(with: pattern.rankAxes[k]) },
      "a factor of \(pattern.rankAxes) is tied to no other")
    return components.map(\.members).sorted { $0[0] < $1[0] }
  }
}
