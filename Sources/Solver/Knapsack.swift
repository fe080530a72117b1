/// One way to store a layer.
package struct KnapsackItem: Sendable, Equatable {
  /// What the choice adds under each limit, possibly negative. An item with a cost that is NaN or infinite is never chosen.
  package let costs: CostVector
  /// The loss of the item, at least 0. An item whose loss is NaN or infinite is never chosen.
  package let loss: Double

  package init(costs: CostVector, loss: Double) {
    self.costs = costs
    self.loss = loss
  }

  /// An item under one limit alone.
  package init(cost: Int, loss: Double) { self.init(costs: CostVector(first: Double(cost)), loss: loss) }
}

/// The multiple-choice knapsack problem under up to four limits: one item from each group, the least sum of losses, each sum of costs
/// within its limit.
///
/// The Lagrangian dual gives multipliers, a lower bound and a first solution (`Relaxation`). Then dynamic programming over partial
/// choices, pruned by the Lagrangian bound at these multipliers, looks for better ones (after Pisinger, European Journal of Operational
/// Research 83, 1995, who has one limit). The states kept are limited; passes with more and more of them improve the best solution,
/// with which the next pass prunes more, until one drops nothing and so is a proof. A pass that had to drop states still leaves a bound:
/// the least of what it dropped.
package struct Knapsack: Sendable {
  package struct Solution: Sendable, Equatable {
    /// The index of the chosen item of each group.
    package let choices: [Int]
    package let costs: CostVector
    package let loss: Double
    /// No solution has a smaller loss; equal to `loss` where the optimum is proven.
    package let lowerBound: Double
    /// What one unit of each limit more would take off the loss, as far as the relaxation tells.
    package let multipliers: CostVector

    package var isOptimal: Bool { lowerBound >= loss }
    /// The sum of costs under the first limit.
    package var cost: Int { Int(costs[0]) }
  }

  /// The states that a pass may keep, pass by pass: 8 bytes for each of them and group, and 64 bytes for up to 17 times as many while a
  /// group is taken in.
  static let widths = [64, 1024, 8192, 65536]
  /// The states that all passes may make, some seconds of work.
  static let maximumExpansions = 20_000_000

  private let groups: [[KnapsackItem]]
  private let limits: CostVector

  /// - Parameters:
  ///   - groups: None may be empty.
  ///   - limits: The largest sums of costs, possibly negative.
  package init(groups: [[KnapsackItem]], limits: CostVector) {
    self.groups = groups
    self.limits = limits
  }

  /// The problem under one limit.
  package init(groups: [[KnapsackItem]], capacity: Int) {
    self.init(groups: groups, limits: CostVector(first: Double(capacity)))
  }

  /// - Returns: nil where there is no solution. Under several limits nil may also mean that none was found.
  package func solve() -> Solution? {
    guard let problem = ReducedProblem(groups, limits) else { return nil }
    let relaxation = Relaxation(problem)
    var best = relaxation.selection
    var lowerBound = relaxation.lowerBound
    var expansions = 0
    for width in Self.widths where lowerBound < best?.loss ?? .infinity {
      var pass = KnapsackPass(relaxation, best: best, width: width)
      pass.run(expansions: &expansions, limit: Self.maximumExpansions)
      best = pass.best
      lowerBound = max(lowerBound, min(best?.loss ?? .infinity, pass.leastDropped))
      if expansions >= Self.maximumExpansions { break }
    }
    guard let best else { return nil }
    return Solution(
      choices: zip(problem.groups, best.picks).map { $0.items[$1].index },
      costs: zip(problem.groups, best.picks).reduce(.zero) { $0 + $1.0.cheapest + $1.0.items[$1.1].costs },
      loss: best.loss, lowerBound: min(lowerBound, best.loss), multipliers: relaxation.multipliers)
  }
}

/// A problem without what cannot be part of a solution.
struct ReducedProblem: Sendable {
  let groups: [KnapsackGroup]
  /// The limits beyond the cheapest items, nowhere negative.
  let room: CostVector

  /// Prepares a problem; nil where even the cheapest items cost too much.
  init?(_ all: [[KnapsackItem]], _ limits: CostVector) {
    var groups = all.map(KnapsackGroup.init)
    while true {
      guard groups.allSatisfy({ !$0.items.isEmpty }) else { return nil }
      let room = limits - groups.reduce(.zero) { $0 + $1.cheapest }
      guard CostVector.zero.fits(room) else { return nil }
      let reduced = groups.map { $0.affordable(room) }
      if zip(groups, reduced).allSatisfy({ $0.items.count == $1.items.count }) {
        self.groups = groups
        self.room = room
        return
      }
      groups = reduced
    }
  }

  /// Sums run over the groups in their own order, so that equal choices have equal sums.
  func selection(_ picks: [Int]) -> Selection {
    var selection = Selection(picks: picks, loss: 0, costs: .zero)
    for (group, pick) in zip(groups, picks) {
      selection.loss += group.items[pick].loss
      selection.costs += group.items[pick].costs
    }
    return selection
  }
}

/// One item for each group of a reduced problem.
struct Selection: Sendable {
  /// For each group the position of its item.
  var picks: [Int]
  var loss: Double
  /// Beyond the cheapest items.
  var costs: CostVector
}
