import Plans
import Solver

/// The choice of one option for each layer within the limits, that on the file's real size among them.
///
/// The solver works with costs that add up; the file's size almost does. So the solver is first asked with the budget widened by
/// more than the two can differ: that optimum bounds every plan whose file fits from below. If its file fits, it is the optimum. If
/// not, the capacity is lowered by what the file exceeds the budget, until a plan fits; the gap to the bound is reported. What layers share
/// is first counted for each of them, then split among those that have it in the plan found before.
struct BudgetedSelection {
  let picks: [Int]
  /// The exact growth of the file, in bytes.
  let growth: Int
  private(set) var solver: PlanDocument.Solver
  /// What one unit of each limit more would take off the loss.
  let prices: CostVector

  /// How often shared costs are split again.
  private static let splits = 3

  /// - Parameters:
  ///   - groups: for each layer its options; the first cost is what the file grows by.
  ///   - shared: what of the first costs layers have in common; nil where that is nothing.
  ///   - limits: of the sums of costs, the first without the file's size with no layer replaced; infinite where there is none.
  ///   - slack: how far the sum of growths, with shared ones counted once, and the file's real growth can be apart; nil where the first
  ///     limit is not one on the file.
  ///   - measure: the exact growth of the file for one pick from each group.
  /// - Returns: nil where no selection was found.
  init?(
    groups all: [[KnapsackItem]], shared: SharedCosts? = nil, limits: CostVector, slack: Int?,
    measure: @escaping ([Int]) throws -> Int
  ) throws {
    let (groups, finite) = Self.limited(all, limits)
    let search = FileSearch(limits: finite, fileLimit: slack == nil ? .infinity : limits[0], measure: measure)
    var capacity = finite
    capacity[0] += Double(slack ?? 0)
    var (best, lowerBound) = try search.run(groups, capacity)
    if let shared, limits[0] < .infinity {
      // Parts that come to more than the whole prove nothing.
      lowerBound = 0
      var last = best
      for _ in 0..<Self.splits {
        let (found, bound) = try search.run(shared.split(groups, among: last?.picks), capacity)
        lowerBound = max(lowerBound, bound)
        let (before, now) = (best?.loss ?? .infinity, found?.loss ?? .infinity)
        if now < before { best = found }
        guard let found, found.picks != last?.picks else { break }
        last = found
      }
    }
    // What is smallest in sum, which a search may have stepped over.
    if best == nil, slack != nil { best = try search.smallest(groups) }
    guard let best else { return nil }
    (picks, growth, prices) = (best.picks, best.growth, best.prices)
    lowerBound = min(lowerBound, best.loss)
    let gap = best.loss > 0 ? (best.loss - lowerBound) / best.loss : 0
    solver = PlanDocument.Solver(
      loss: best.loss, lowerBound: lowerBound, gap: gap, optimal: best.loss <= lowerBound)
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

/// Looks for a plan whose file fits.
private struct FileSearch {
  let limits: CostVector
  /// What the file may grow by, exactly; infinite where nobody asks.
  let fileLimit: Double
  let measure: ([Int]) throws -> Int

  struct Found {
    let picks: [Int]
    let growth: Int
    let loss: Double
    let prices: CostVector
  }

  /// The best plan that fits, as far as lower and lower capacities find it, and what no plan within the first capacity is below.
  func run(_ groups: [[KnapsackItem]], _ start: CostVector) throws -> (found: Found?, lowerBound: Double) {
    let smallest = groups.reduce(0) { $0 + ($1.map(\.costs[0]).min() ?? 0) }
    var capacity = start
    let first = Knapsack(groups: groups, limits: capacity).solve()
    var solution = first
    // Each round lowers the capacity; the first plan that fits is the best that this capacity allows.
    for _ in 0..<64 {
      guard let current = solution else { break }
      let growth = try measure(current.choices)
      if Double(growth) <= fileLimit {
        let found = Found(
          picks: current.choices, growth: growth, loss: current.loss, prices: first?.multipliers ?? .zero)
        return (found, first?.lowerBound ?? 0)
      }
      guard current.costs[0] > smallest else { break }
      capacity[0] = max(smallest, current.costs[0] - max(1, Double(growth) - fileLimit))
      solution = Knapsack(groups: groups, limits: capacity).solve()
    }
    return (nil, first?.lowerBound ?? .infinity)
  }

  /// The smallest option of every layer; nil where that does not fit either.
  func smallest(_ groups: [[KnapsackItem]]) throws -> Found? {
    let picks = groups.map { group in
      group.indices.min { (group[$0].costs[0], group[$0].loss) < (group[$1].costs[0], group[$1].loss) } ?? 0
    }
    let costs = zip(groups, picks).reduce(CostVector.zero) { $0 + $1.0[$1.1].costs }
    let loss = zip(groups, picks).reduce(0) { $0 + $1.0[$1.1].loss }
    let growth = try measure(picks)
    guard Double(growth) <= fileLimit, (1..<CostVector.scalarCount).allSatisfy({ costs[$0] <= limits[$0] }),
      loss < .infinity
    else {
      return nil
    }
    return Found(picks: picks, growth: growth, loss: loss, prices: .zero)
  }
}
