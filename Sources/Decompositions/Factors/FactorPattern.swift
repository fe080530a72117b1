import Basics

/// A form with the extents of its ranks: everything about a factorization but the values.
public struct FactorPattern: Sendable, Hashable {
  /// The factors' digits and which ranks they have.
  public let form: FactorForm
  /// The extent of every rank.
  public let ranks: [Int]

  /// A form with the extents of its ranks.
  ///
  /// - Precondition: one positive extent for each rank of the form.
  public init(_ form: FactorForm, ranks: [Int]) {
    precondition(
      ranks.count == form.rankCount && ranks.allSatisfy { $0 > 0 }, "\(ranks) are no ranks of \(form)")
    self.form = form
    self.ranks = ranks
  }

  /// The pattern of a form that is given by its digits and rank axes.
  ///
  /// - Precondition: As for the form, with one positive extent for each rank.
  public init(shapes: [[Int]], ranks: [Int], rankAxes: [[Int]]) {
    self.init(FactorForm(shapes: shapes, rankAxes: rankAxes), ranks: ranks)
  }

  /// The digits: for each factor its extent in every kernel mode.
  public var shapes: [[Int]] { form.shapes }
  /// The ranks: for each factor those that are its axes.
  public var rankAxes: [[Int]] { form.rankAxes }
  /// The count of factors.
  public var factorCount: Int { form.factorCount }
  /// The shape of the kernel: the product of the digits, mode by mode.
  public var kernelShape: [Int] { form.kernelShape }
  /// The digits of factor k: the product of its extents in the kernel's modes.
  public func modeCount(_ k: Int) -> Int { form.modeCount(k) }

  /// The extents of factor k's rank axes.
  public func rankExtents(_ k: Int) -> [Int] { rankAxes[k].map { ranks[$0] } }

  /// The shape of factor k: the extents of its digits, then those of its ranks.
  public func factorShape(_ k: Int) -> [Int] { shapes[k] + rankExtents(k) }

  /// The elements of factor k.
  public func elementCount(_ k: Int) -> Int {
    rankAxes[k].reduce(modeCount(k)) { $0 * ranks[$1] }
  }

  /// The elements of all factors.
  public var parameterCount: Int { shapes.indices.reduce(0) { $0 + elementCount($1) } }

  /// The same without ranks of 1, which only add axes of extent 1; itself where the factors would fall apart.
  var reduced: FactorPattern {
    let kept = ranks.indices.filter { ranks[$0] > 1 }
    let axes = rankAxes.map { axes in axes.compactMap { kept.firstIndex(of: $0) } }
    let form = FactorForm(shapes: shapes, rankAxes: axes)
    return kept.count < ranks.count && form.isConnected ? FactorPattern(form, ranks: kept.map { ranks[$0] }) : self
  }

  /// What is left without ranks of 1 and in a fixed order of factors that own whole modes: patterns of different structures with
  /// the same essence are the same approximation.
  var essence: Essence {
    let kept = ranks.indices.filter { ranks[$0] > 1 }
    let axes = rankAxes.map { axes in axes.compactMap { kept.firstIndex(of: $0) } }
    let isWhole = ModeGroups.areWhole(shapes)
    let order = shapes.indices.sorted {
      isWhole ? shapes[$1].lexicographicallyPrecedes(shapes[$0]) : $0 < $1
    }
    return Essence(
      shapes: order.map { shapes[$0] }, rankAxes: order.map { Set(axes[$0]) }, ranks: kept.map { ranks[$0] })
  }

  struct Essence: Hashable {
    let shapes: [[Int]]
    let rankAxes: [Set<Int>]
    let ranks: [Int]
  }

  /// The same with ranks beyond full rank lowered to it, where they only repeat what smaller ranks express.
  ///
  /// No cut of the kernel between its factors has more than the elements of all modes but the largest, so no rank needs more. One
  /// that ties two factors only is also at most what either of them has beside the axes that both share.
  public var clamped: FactorPattern {
    var ranks = ranks
    var isChanged = true
    while isChanged {
      isChanged = false
      for rank in ranks.indices {
        let bound = fullRank(rank, among: ranks)
        if ranks[rank] > bound { (ranks[rank], isChanged) = (bound, true) }
      }
    }
    return FactorPattern(form, ranks: ranks)
  }

  private func fullRank(_ rank: Int, among ranks: [Int]) -> Int {
    let members = form.members(ofRank: rank)
    let cut =
      kernelShape.reduce(1, *) / max(1, form.shapes.indices.map(modeCount).max().required("a form has a factor"))
    guard members.count == 2 else { return max(1, cut) }
    let (a, b) = (members[0], members[1])
    func own(_ k: Int, beside other: Int) -> Int {
      rankAxes[k].filter { $0 != rank && !rankAxes[other].contains($0) }
        .reduce(modeCount(k)) { min($0 * ranks[$1], Int(Int32.max)) }
    }
    return max(1, min(cut, own(a, beside: b), own(b, beside: a)))
  }

  /// The largest pattern of at most `limit` parameters whose ranks are in about the same proportion; nil where even ranks
  /// of 1 have more. Ranks of 1 stay 1 as long as another can grow.
  public func scaled(toParameters limit: Int) -> FactorPattern? {
    guard FactorPattern(form, ranks: ranks.map { _ in 1 }).parameterCount <= limit else { return nil }
    func at(_ scale: Double) -> FactorPattern {
      FactorPattern(form, ranks: ranks.map { 1 + Int((Double($0 - 1) * scale).rounded()) })
    }
    var (low, high) = (0.0, 1.0)
    if ranks.contains(where: { $0 > 1 }) {
      while at(high).parameterCount <= limit, high < 1e6 { (low, high) = (high, 2 * high) }
      for _ in 0..<40 {
        let middle = (low + high) / 2
        if at(middle).parameterCount <= limit { low = middle } else { high = middle }
      }
    }
    return at(low).clamped.filled(toParameters: limit)
  }

  /// The pattern whose ranks above 1 are the nearest multiples; nil where the kernel has no room for them.
  func rounded(to multiple: Int) -> FactorPattern? {
    let ranks = ranks.map { $0 == 1 ? 1 : max(multiple, ($0 + multiple / 2) / multiple * multiple) }
    let pattern = FactorPattern(form, ranks: ranks).clamped
    return pattern.ranks.allSatisfy { $0 == 1 || $0 % multiple == 0 } ? pattern : nil
  }

  /// The same with ranks raised one by one, those above 1 first and the smallest step first, while at most `limit` parameters
  /// result.
  func filled(toParameters limit: Int) -> FactorPattern {
    var best = self
    while true {
      let larger = best.ranks.indices.compactMap { rank -> FactorPattern? in
        var ranks = best.ranks
        ranks[rank] += 1
        let next = FactorPattern(form, ranks: ranks)
        return next.parameterCount <= limit && next.clamped == next ? next : nil
      }
      let preferred = larger.filter { next in
        zip(next.ranks, best.ranks).contains { $0 != $1 && ($1 > 1 || best.ranks.allSatisfy { $0 == 1 }) }
      }
      guard let next = preferred.max(by: { $0.parameterCount < $1.parameterCount }) else { return best }
      best = next
    }
  }
}
