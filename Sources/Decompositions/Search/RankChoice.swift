import Foundation

/// The choice of a form's ranks under a limit on the parameters.
enum RankChoice {
  /// The ranks whose tails have the least sum, which bounds the squared error of the TT-SVD and of the truncated HOSVD.
  ///
  /// All ranks but the last run over a geometric grid, the last one takes what parameters are left.
  ///
  /// - Parameter tails: for each rank, the part of the squared norm beyond each value of it.
  /// - Returns: nil where even ranks of 1 have too many parameters.
  static func best(
    _ form: FactorForm, parameters: Int, tails: (Int) throws -> [Double]
  ) rethrows -> (pattern: FactorPattern, score: Double)? {
    let tails = try (0..<form.rankCount).map(tails)
    func tail(_ rank: Int, _ value: Int) -> Double { tails[rank][min(value, tails[rank].count - 1)] }
    var best: (ranks: [Int], score: Double)?
    func extend(_ ranks: [Int], _ score: Double) {
      guard score < best?.score ?? .infinity else { return }
      let rank = ranks.count
      let limit = tails[rank].count - 1
      func count(_ value: Int) -> Int {
        let rest = Array(repeating: 1, count: form.rankCount - rank - 1)
        return FactorPattern(form, ranks: ranks + [value] + rest).parameterCount
      }
      if rank == form.rankCount - 1 {
        // The count is affine in each rank.
        let (one, two) = (count(1), count(2))
        guard one <= parameters else { return }
        let value = max(1, min(limit, 1 + (parameters - one) / max(1, two - one)))
        let total = score + tail(rank, value)
        if total < best?.score ?? .infinity { best = (ranks + [value], total) }
      } else {
        for value in grid(limit) where count(value) <= parameters {
          extend(ranks + [value], score + tail(rank, value))
        }
      }
    }
    extend([], 0)
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
