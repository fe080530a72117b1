/// One way to store a layer.
public struct KnapsackItem: Sendable, Equatable {
  /// In bytes; what the file grows by, so it may be negative.
  public let cost: Int
  /// At least 0. An item whose loss is NaN or infinite is never chosen.
  public let loss: Double

  public init(cost: Int, loss: Double) {
    self.cost = cost
    self.loss = loss
  }
}

/// The multiple-choice knapsack problem: one item from each group, the least sum of losses, a limit on the sum of costs.
///
/// Solved exactly by dynamic programming over the states (cost, loss) that no other state dominates, pruned by the
/// Lagrangian bound at the multiplier of the linear relaxation (the relaxation after Sinha and Zoltners, Operations
/// Research 27, 1979; states and reduction after Pisinger, European Journal of Operational Research 83, 1995). The states kept
/// are limited; passes with more and more of them improve the best solution, with which the next pass prunes more, until
/// one drops nothing and so is a proof. A pass that had to drop states still leaves a bound: the least of what it dropped.
public struct Knapsack: Sendable {
  public struct Solution: Sendable, Equatable {
    /// For each group the index of its item.
    public let choices: [Int]
    public let cost: Int
    public let loss: Double
    /// No solution has a smaller loss; equal to `loss` where the optimum is proven.
    public let lowerBound: Double

    public var isOptimal: Bool { lowerBound >= loss }
  }

  /// The states that a pass may keep, pass by pass; the last needs some 30 MB for 60 groups.
  static let widths = [64, 1024, 8192, 65536]
  /// The states that all passes may make, a second or two of work.
  static let maximumExpansions = 20_000_000

  private let groups: [Group]?
  private let capacity: Int

  /// - Parameters:
  ///   - groups: None may be empty.
  ///   - capacity: The largest sum of costs, possibly negative.
  public init(groups: [[KnapsackItem]], capacity: Int) {
    let reduced = groups.map(Group.init)
    self.groups = reduced.allSatisfy { !$0.items.isEmpty } ? reduced : nil
    self.capacity = capacity
  }

  /// - Returns: nil where even the cheapest items cost too much.
  public func solve() -> Solution? {
    guard let groups else { return nil }
    let room = capacity - groups.reduce(0) { $0 + $1.cheapest }
    guard room >= 0 else { return nil }
    let relaxation = Relaxation(groups, room: room)
    var best = relaxation.greedy
    var lowerBound = relaxation.lowerBound
    var expansions = 0
    for width in Self.widths where lowerBound < best.loss {
      var pass = KnapsackPass(relaxation, best: best, width: width)
      pass.run(expansions: &expansions, limit: Self.maximumExpansions)
      best = pass.best
      lowerBound = max(lowerBound, min(best.loss, pass.leastDropped))
      if expansions >= Self.maximumExpansions { break }
    }
    let cost = zip(groups, best.picks).reduce(0) { $0 + $1.0.cheapest + $1.0.items[$1.1].cost }
    return Solution(
      choices: zip(groups, best.picks).map { $0.items[$1].index }, cost: cost, loss: best.loss,
      lowerBound: min(lowerBound, best.loss))
  }
}

/// The items of one layer that can be part of an optimum, cheapest first, each with a smaller loss than the one before.
struct Group: Sendable {
  struct Item: Sendable {
    let index: Int
    /// Beyond the cheapest of the group.
    let cost: Int
    let loss: Double
  }

  let cheapest: Int
  let items: [Item]
  /// Positions of the items on the lower convex hull of loss over cost.
  let hull: [Int]

  init(_ all: [KnapsackItem]) {
    let order = all.indices.filter { all[$0].loss < .infinity }
      .sorted { (all[$0].cost, all[$0].loss, $0) < (all[$1].cost, all[$1].loss, $1) }
    let cheapest = order.first.map { all[$0].cost } ?? 0
    var items: [Item] = []
    for index in order where all[index].loss < items.last?.loss ?? .infinity {
      items.append(Item(index: index, cost: all[index].cost - cheapest, loss: all[index].loss))
    }
    var hull: [Int] = []
    for position in items.indices {
      while hull.count > 1,
        Self.gain(items[hull[hull.count - 2]], items[hull[hull.count - 1]])
          <= Self.gain(items[hull[hull.count - 1]], items[position])
      {
        hull.removeLast()
      }
      hull.append(position)
    }
    self.cheapest = cheapest
    self.items = items
    self.hull = hull
  }

  /// The loss saved for each byte between two items.
  static func gain(_ cheap: Item, _ dear: Item) -> Double {
    (cheap.loss - dear.loss) / Double(dear.cost - cheap.cost)
  }
}
