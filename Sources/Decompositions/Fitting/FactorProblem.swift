import TensorCore

/// The matrices of one factor's normal equations, their contractions planned once for a fit.
struct FactorProblem {
  private struct Gram {
    /// The factors that it is made of, each with its twin, and those of which the Gram matrix alone enters.
    let members: [Int]
    let squared: [Int]
    /// The axes of the factor, as `NormalEquations` sees it, that it acts on.
    let axes: [Int]
    let einsum: Einsum
  }

  /// The factor's shape as the normal equations see it.
  private let shape: [Int]
  private let grams: [Gram]

  /// The problem in the norm of the weights: the other factors fall into components that share no rank, and E E^T is
  /// the Kronecker product of theirs.
  init(_ pattern: FactorPattern, factor k: Int) {
    let labels = EinsumLabels(pattern)
    shape = [pattern.modeCount(k)] + pattern.rankExtents(k)
    grams = Self.components(of: pattern, without: k).map { members in
      let own = pattern.rankAxes[k].indices.filter { axis in
        members.contains { pattern.rankAxes[$0].contains(pattern.rankAxes[k][axis]) }
      }
      let ranks = own.map { labels.ranks(k)[$0] }
      // A factor with one rank enters by its own Gram matrix, which the problems of all other factors share.
      let whole = members.filter { pattern.rankAxes[$0].count > 1 }
      let single = members.filter { pattern.rankAxes[$0].count == 1 }
      let einsum = Einsum(
        whole.map(labels.factor) + whole.map(labels.twin)
          + single.map { labels.ranks($0) + labels.ranks($0).map(labels.twin(ofRank:)) },
        to: ranks + ranks.map(labels.twin(ofRank:)), extents: labels.extents())
      return Gram(members: whole, squared: single, axes: own.map { $0 + 1 }, einsum: einsum)
    }
  }

  /// The problem in a norm over the input patch, which ties the factor's part of the patch to its ranks and to all
  /// other factors.
  ///
  /// - Parameter metric: as `FitObjective.metric(rearrangedFor:)` returns it.
  init(_ pattern: FactorPattern, factor k: Int, metric: Tensor<Double>) {
    let labels = EinsumLabels(pattern)
    let all = pattern.shapes.indices
    let others = all.filter { $0 != k }
    let patches = all.map(labels.patch)
    shape = [pattern.shapes[k][0], pattern.modeCount(k) / max(1, pattern.shapes[k][0])] + pattern.rankExtents(k)
    let own = [labels.patch(k)] + labels.ranks(k)
    let twins = [labels.twin(ofPatch: labels.patch(k))] + labels.ranks(k).map(labels.twin(ofRank:))
    var einsum = Einsum(
      [patches + patches.map(labels.twin(ofPatch:))] + others.map(labels.split) + others.map(labels.splitTwin),
      to: own + twins, extents: labels.extents(splitting: true))
    einsum.fix(0, to: metric)
    grams = [Gram(members: others, squared: [], axes: Array(1...own.count), einsum: einsum)]
  }

  /// - Parameters:
  ///   - target: W E^T, or W S E^T, as (digits, ranks...).
  ///   - factors: all factors as (digits, ranks...).
  ///   - twins: what stands for the factors where they meet themselves; nil for the factors.
  ///   - squares: for a factor with one rank its Gram matrix.
  func normalEquations(
    target: Tensor<Double>, _ factors: [Tensor<Double>], twins: [Tensor<Double>]? = nil,
    squares: (Int) -> Tensor<Double>, pattern: FactorPattern
  ) -> NormalEquations {
    let twins = twins ?? factors
    let isSplit = shape.count > target.order
    return NormalEquations(
      target: target.reshaped(shape),
      components: grams.map { gram in
        func split(_ factor: Tensor<Double>, _ member: Int) -> Tensor<Double> {
          isSplit
            ? factor.reshaped(
              [pattern.shapes[member][0], pattern.modeCount(member) / max(1, pattern.shapes[member][0])]
                + pattern.rankExtents(member))
            : factor
        }
        let operands =
          gram.members.map { split(factors[$0], $0) } + gram.members.map { split(twins[$0], $0) }
        let extent = gram.axes.reduce(1) { $0 * shape[$1] }
        return .init(
          axes: gram.axes,
          gram: gram.einsum(operands + gram.squared.map(squares)).reshaped([extent, extent]))
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
