import Planning

/// The choice of one option for each layer within the limits, that on the file's real size among them.
///
/// The solver works with costs that add up; the file's size almost does. So the solver is first asked with the budget widened by
/// more than the two can differ: that optimum bounds every plan whose file fits from below. If its file fits, it is the optimum. If
/// not, the capacity is lowered by what the file exceeds the budget, until a plan fits; the gap to the bound is reported.
struct BudgetedSelection {
  let picks: [Int]
  /// Of the file, exactly.
  let growth: Int
  private(set) var solver: PlanDocument.Solver
  /// What one unit of each limit more would take off the loss.
  let prices: CostVector

  /// - Parameters:
  ///   - groups: for each layer its options; the first cost is what the file grows by.
  ///   - least: the same with first costs whose sum no file's growth is below, up to the slack; nil where they are the same.
  ///   - limits: of the sums of costs, the first without the file's size with no layer replaced; infinite where there is none.
  ///   - slack: how far the sum of growths and the file's real growth can be apart; nil where the first limit is not one on the file.
  ///   - measure: the exact growth of the file for one pick from each group.
  /// - Returns: nil where no selection was found.
  init?(
    groups all: [[KnapsackItem]], least: [[KnapsackItem]]? = nil, limits: CostVector, slack: Int?,
    measure: ([Int]) throws -> Int
  ) throws {
    let (groups, finite) = Self.limited(all, limits)
    let limitsFile = slack != nil
    let slack = Double(slack ?? 0)
    let smallest = groups.reduce(0) { $0 + ($1.map(\.costs[0]).min() ?? 0) }
    var capacity = finite
    capacity[0] += slack
    var solution = Knapsack(groups: groups, limits: capacity).solve()
    let relaxed = least.map { Knapsack(groups: Self.limited($0, limits).0, limits: capacity).solve() } ?? solution
    let lowerBound = relaxed?.lowerBound ?? 0
    prices = solution?.multipliers ?? .zero
    // Each round lowers the capacity, so this ends; the first plan that fits is the best that this capacity allows.
    for _ in 0..<64 {
      guard let current = solution else { break }
      let growth = try measure(current.choices)
      if !limitsFile || Double(growth) <= limits[0] {
        picks = current.choices
        self.growth = growth
        let gap = current.loss > 0 ? (current.loss - lowerBound) / current.loss : 0
        solver = PlanDocument.Solver(
          loss: current.loss, lowerBound: lowerBound, gap: gap, optimal: current.loss <= lowerBound)
        return
      }
      guard current.costs[0] > smallest else { break }
      capacity[0] = max(smallest, current.costs[0] - max(1, ((Double(growth) - limits[0]) / 2).rounded()))
      solution = Knapsack(groups: groups, limits: capacity).solve()
    }
    // What is smallest in sum, which the rounds may have stepped over.
    let fallback = groups.map { group in
      group.indices.min { (group[$0].costs[0], group[$0].loss) < (group[$1].costs[0], group[$1].loss) } ?? 0
    }
    let costs = zip(groups, fallback).reduce(CostVector.zero) { $0 + $1.0[$1.1].costs }
    let loss = zip(groups, fallback).reduce(0) { $0 + $1.0[$1.1].loss }
    growth = try measure(fallback)
    guard limitsFile, Double(growth) <= limits[0], (1..<4).allSatisfy({ costs[$0] <= finite[$0] }), loss < .infinity
    else {
      return nil
    }
    picks = fallback
    solver = PlanDocument.Solver(
      loss: loss, lowerBound: min(lowerBound, loss), gap: loss > 0 ? max(0, loss - lowerBound) / loss : 0,
      optimal: loss <= lowerBound)
  }

  /// Costs that nobody limits are none.
  private static func limited(_ groups: [[KnapsackItem]], _ limits: CostVector) -> ([[KnapsackItem]], CostVector) {
    let isLimited = limits .< CostVector(repeating: .infinity)
    let nothing = CostVector.zero
    return (
      groups.map { $0.map { KnapsackItem(costs: nothing.replacing(with: $0.costs, where: isLimited), loss: $0.loss) } },
      nothing.replacing(with: limits, where: isLimited)
    )
  }

  /// The same choice with the loss that it really has, about which nothing is proven.
  func with(loss: Double) -> BudgetedSelection {
    var result = self
    result.solver = PlanDocument.Solver(loss: loss, lowerBound: 0, gap: loss > 0 ? 1 : 0, optimal: loss == 0)
    return result
  }
}
