import Foundation

/// What any budget buys: the losses and costs of the plans that no mixture of others beats, from the cheapest to the one with the least
/// loss. Between two neighbours one group goes over to its next item.
public struct Frontier: Sendable {
  public struct Point: Sendable, Equatable {
    /// The sum of the items' costs.
    public let cost: Int
    public let loss: Double

    public init(cost: Int, loss: Double) {
      self.cost = cost
      self.loss = loss
    }
  }

  /// By ascending cost and descending loss; empty where a group has no item that can be chosen.
  public let points: [Point]

  /// - Parameter groups: as those of `Knapsack`.
  public init(groups all: [[KnapsackItem]]) {
    let groups = all.map(Group.init)
    guard groups.allSatisfy({ !$0.items.isEmpty }) else {
      points = []
      return
    }
    let steps = groups.flatMap { group in
      zip(group.hull, group.hull.dropFirst()).map { (group.items[$0], group.items[$1]) }
    }.sorted { Group.gain($1.0, $1.1) < Group.gain($0.0, $0.1) }
    var cost = groups.reduce(0) { $0 + $1.cheapest }
    var loss = groups.reduce(0) { $0 + $1.items[0].loss }
    var points = [Point(cost: cost, loss: loss)]
    for (from, to) in steps {
      cost += to.cost - from.cost
      loss -= from.loss - to.loss
      points.append(Point(cost: cost, loss: max(0, loss)))
    }
    self.points = points
  }

  /// At most so many points, evenly spread over the logarithm of the loss as far as it is above a thousandth of the largest.
  public func thinned(to count: Int) -> [Point] {
    guard points.count > count, let first = points.first, first.loss > 0 else { return points }
    let floor = first.loss * 1e-3
    var kept: [Point] = []
    var step = 0.0
    for point in points {
      // How far down from the first loss to the floor, from 0 to 1.
      let depth = 1 - log(max(point.loss, floor) / floor) / log(1e3)
      if depth >= step {
        kept.append(point)
        step = depth + 1 / Double(count)
      }
    }
    return kept
  }
}
