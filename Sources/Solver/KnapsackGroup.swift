/// The items of one group that can be part of an optimum: with a finite loss, affordable beside the cheapest of all others, and not
/// beaten by another in loss and every cost. By descending loss.
struct KnapsackGroup: Sendable {
  struct Item: Sendable {
    /// The item's place in the group as it was given.
    let index: Int
    /// Beyond `cheapest`, so nowhere negative.
    let costs: CostVector
    let loss: Double
  }

  /// For each limit the least cost of all items; one item need not have them all.
  private(set) var cheapest: CostVector
  private(set) var items: [Item]

  init(_ all: [KnapsackItem]) {
    let usable = all.indices.filter {
      all[$0].loss < .infinity && all[$0].loss >= 0
        && all[$0].costs.fits(CostVector(repeating: .greatestFiniteMagnitude))
    }
    self.init(usable.map { Item(index: $0, costs: all[$0].costs, loss: all[$0].loss) }, beyond: .zero)
  }

  /// - Parameter beyond: what the items' costs have been reduced by already.
  private init(_ all: [Item], beyond: CostVector) {
    let least = all.dropFirst().reduce(all.first?.costs ?? .zero) { pointwiseMin($0, $1.costs) }
    var kept: [Item] = []
    for item in all.sorted(by: { ($0.loss, $0.costs[0], $0.index) < ($1.loss, $1.costs[0], $1.index) })
    where !kept.contains(where: { $0.costs.fits(item.costs) }) {
      kept.append(item)
    }
    cheapest = beyond + least
    items = kept.reversed().map { Item(index: $0.index, costs: $0.costs - least, loss: $0.loss) }
  }

  /// The group without the items that cost more than `room` beyond the cheapest; these change then.
  func affordable(_ room: CostVector) -> KnapsackGroup {
    guard !items.allSatisfy({ $0.costs.fits(room) }) else { return self }
    return KnapsackGroup(items.filter { $0.costs.fits(room) }, beyond: cheapest)
  }

  /// The item of the least loss + multipliers * costs, with that sum.
  func best(at multipliers: CostVector) -> (position: Int, value: Double) {
    var best = (position: 0, value: Double.infinity)
    for (position, item) in items.enumerated() {
      let value = item.loss + multipliers.dot(item.costs)
      if value < best.value { best = (position, value) }
    }
    return best
  }
}
