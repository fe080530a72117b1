import Planning

/// The choice of one option for each layer under a budget on the file's real size.
///
/// The solver works with costs that add up; the file's size almost does. So the solver is first asked with the budget widened by
/// more than the two can differ: that optimum bounds every plan whose file fits from below. If its file fits, it is the optimum. If
/// not, the capacity is lowered by what the file exceeds the budget, until a plan fits; the gap to the bound is reported.
enum BudgetedSelection {
  case selected(picks: [Int], bytes: Int, PlanDocument.Solver)
  case infeasible(smallest: Int)

  /// The most that sizes of single replacements can be off, summed over a plan: digits in headers and alignment, for each layer.
  private static let slackPerLayer = 32
  private static let fixedSlack = 512

  /// - Parameters:
  ///   - groups: for each layer its options; the cost is what the file grows by.
  ///   - budget: the bytes that the file may have.
  ///   - dense: the size of the file with no layer replaced.
  ///   - measure: the exact size of the file for one pick from each group.
  init(
    groups: [[KnapsackItem]], budget: Int, dense: Int, measure: ([Int]) throws -> Int
  ) throws {
    let smallestPicks = groups.map { group in
      group.indices.min { group[$0].costs[0] < group[$1].costs[0] } ?? 0
    }
    let smallest = try measure(smallestPicks)
    guard smallest <= budget else {
      self = .infeasible(smallest: smallest)
      return
    }
    var capacity = budget - dense + Self.slackPerLayer * groups.count + Self.fixedSlack
    let relaxed = Knapsack(groups: groups, capacity: capacity).solve()
    let lowerBound = relaxed?.lowerBound ?? 0
    var best: (picks: [Int], bytes: Int, loss: Double) = (
      smallestPicks, smallest,
      zip(groups, smallestPicks).reduce(0) { $0 + $1.0[$1.1].loss }
    )
    var solution = relaxed
    // Each round lowers the capacity, so this ends; the first plan that fits is the best that this capacity allows.
    for _ in 0..<64 {
      guard let current = solution else { break }
      let bytes = try measure(current.choices)
      if bytes <= budget {
        if current.loss <= best.loss { best = (current.choices, bytes, current.loss) }
        break
      }
      capacity = current.cost - max(1, min(bytes - budget, Self.slackPerLayer * groups.count))
      solution = Knapsack(groups: groups, capacity: capacity).solve()
    }
    let gap = best.loss > 0 ? (best.loss - lowerBound) / best.loss : 0
    self = .selected(
      picks: best.picks, bytes: best.bytes,
      PlanDocument.Solver(
        loss: best.loss, lowerBound: lowerBound, gap: gap, optimal: best.loss <= lowerBound))
  }
}
