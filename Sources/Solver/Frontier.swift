import Foundation

/// What any budget buys: the losses and costs of the plans that no mixture of others beats, from the cheapest to the one with the least
/// loss, where "cheap" is the first cost. Between two neighbours one group goes over to its next item.
package struct Frontier: Sendable {
  package struct Point: Sendable, Equatable {
    /// The sums of the items' costs.
    package let costs: CostVector
    package let loss: Double
    /// Whether the curve bends here: what is saved below costs much more loss than above.
    package var isKnee = false

    package init(costs: CostVector, loss: Double) {
      self.costs = costs
      self.loss = loss
    }

    package var cost: Double { costs[0] }
  }

  /// The points by ascending cost and descending loss; none where a group has no item that can be chosen.
  package let points: [Point]

  /// - Parameter groups: as those of `Knapsack`; no cost but the first decides.
  package init(groups all: [[KnapsackItem]]) {
    let hulls = all.map(Self.hull)
    guard hulls.allSatisfy({ !$0.isEmpty }) else {
      points = []
      return
    }
    let steps = hulls.flatMap { zip($0, $0.dropFirst()) }.sorted { Self.gain($1.0, $1.1) < Self.gain($0.0, $0.1) }
    var costs = hulls.reduce(CostVector.zero) { $0 + $1[0].costs }
    var loss = hulls.reduce(0) { $0 + $1[0].loss }
    var points = [Point(costs: costs, loss: loss)]
    for (from, to) in steps {
      costs += to.costs - from.costs
      loss -= from.loss - to.loss
      // What is left of a sum of which all has been taken off is rounding.
      points.append(Point(costs: costs, loss: loss > points[0].loss * 1e-12 ? loss : 0))
    }
    self.points = points
  }

  /// The items on the lower convex hull of loss over the first cost, the cheapest first.
  private static func hull(_ items: [KnapsackItem]) -> [KnapsackItem] {
    let group = KnapsackGroup(items.map { KnapsackItem(costs: CostVector(first: $0.costs[0]), loss: $0.loss) })
    var hull: [KnapsackItem] = []
    for item in group.items.map({ items[$0.index] }) {
      while hull.count > 1, gain(hull[hull.count - 2], hull[hull.count - 1]) <= gain(hull[hull.count - 1], item) {
        hull.removeLast()
      }
      hull.append(item)
    }
    return hull
  }

  /// The loss saved for each unit of the first cost between two items.
  private static func gain(_ cheap: KnapsackItem, _ dear: KnapsackItem) -> Double {
    (cheap.loss - dear.loss) / (dear.costs[0] - cheap.costs[0])
  }

  /// At most so many points, evenly spread over the logarithm of the loss as far as it is above a thousandth of the largest, the knees
  /// among them marked.
  package func thinned(to count: Int) -> [Point] {
    guard points.count > count, let first = points.first, first.loss > 0 else { return Self.marked(points) }
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
    if let last = points.last, kept.last != last { kept.append(last) }
    return Self.marked(kept)
  }

  /// Marks the points that are farthest below the straight line between the ends, of cost against the logarithm of the loss, each the
  /// farthest within a tenth of the costs (after Satopää, Albrecht, Irwin and Raghavan, "Finding a Kneedle in a Haystack", 2011).
  private static func marked(_ points: [Point]) -> [Point] {
    let positive = points.filter { $0.loss > 0 }
    guard positive.count > 4, let first = positive.first, let last = positive.last, last.cost > first.cost,
      last.loss < first.loss
    else { return points }
    func across(_ point: Point) -> Double { (point.cost - first.cost) / (last.cost - first.cost) }
    let depths = points.map { point in
      point.loss > 0 ? log(first.loss / point.loss) / log(first.loss / last.loss) - across(point) : -1
    }
    return points.indices.map { index in
      var point = points[index]
      let near = points.indices.filter { abs(across(points[$0]) - across(point)) <= 0.1 }
      point.isKnee = depths[index] > 0.05 && near.allSatisfy { depths[$0] < depths[index] || $0 == index }
      return point
    }
  }
}
