/// The choice of a form's ranks under a limit on the parameters.
enum RankChoice {
  /// The ranks of the least score.
  ///
  /// All ranks but the last run over a geometric grid, the last one takes what parameters are left.
  ///
  /// - Parameters:
  ///   - limits: the largest value of each rank.
  ///   - score: falls with every rank.
  /// - Returns: nil where even ranks of 1 have too many parameters.
  static func best(
    _ form: FactorForm, parameters: Int, limits: [Int], score: ([Int]) -> Double
  ) -> (pattern: FactorPattern, score: Double)? {
    let modes = form.shapes.indices.map(form.modeCount)
    func count(_ ranks: [Int]) -> Int {
      var total = 0
      for (k, axes) in form.rankAxes.enumerated() {
        var elements = modes[k]
        for rank in axes { elements *= ranks[rank] }
        total += elements
      }
      return total
    }
    var best: (ranks: [Int], score: Double)?
    var ranks = Array(repeating: 1, count: form.rankCount)
    func extend(_ rank: Int) {
      defer { ranks[rank] = 1 }
      let one = count(ranks)
      guard one <= parameters else { return }
      ranks[rank] = 2
      // The count is affine in each rank.
      let most = min(limits[rank], 1 + (parameters - one) / max(1, count(ranks) - one))
      if rank == form.rankCount - 1 {
        ranks[rank] = max(1, most)
        let own = score(ranks)
        if own < best?.score ?? .infinity { best = (ranks, own) }
      } else {
        for value in grid(limits[rank]) where value <= most {
          ranks[rank] = value
          extend(rank + 1)
        }
      }
    }
    extend(0)
    return best.map { (FactorPattern(form, ranks: $0.ranks).clamped, $0.score) }
  }

  /// All values up to 16, then a sixteenth apart.
  private static func grid(_ limit: Int) -> [Int] {
    var result: [Int] = []
    var value = 1
    while value < limit {
      result.append(value)
      value += max(1, value / 16)
    }
    return result + [max(1, limit)]
  }

  /// The patterns in which one rank has given way to another: a sixth less of one, as much more of the other as there is room for.
  static func trades(_ pattern: FactorPattern, parameters: Int) -> [FactorPattern] {
    pattern.ranks.indices.flatMap { giver in
      pattern.ranks.indices.compactMap { taker -> FactorPattern? in
        guard giver != taker, pattern.ranks[giver] > 1 else { return nil }
        var ranks = pattern.ranks
        ranks[giver] -= max(1, ranks[giver] / 6)
        let rest = FactorPattern(pattern.form, ranks: ranks)
        ranks[taker] += 1
        let slope = FactorPattern(pattern.form, ranks: ranks).parameterCount - rest.parameterCount
        ranks[taker] += (parameters - rest.parameterCount) / max(1, slope) - 1
        let traded = FactorPattern(pattern.form, ranks: ranks.map { max(1, $0) }).clamped
        return traded.ranks != pattern.ranks && traded.parameterCount <= parameters ? traded : nil
      }
    }
  }
}
