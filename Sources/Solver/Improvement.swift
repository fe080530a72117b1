/// Changes of single groups that bring a selection within the limits or make it better.
struct Improvement {
  private let problem: ReducedProblem

  init(_ problem: ReducedProblem) { self.problem = problem }

  /// Takes the item that saves the most loss and still fits, until none does.
  func improved(_ start: Selection) -> Selection {
    var picks = start.picks
    var costs = start.costs
    while let (group, position) = gain(picks, costs) {
      costs += problem.groups[group].items[position].costs - problem.groups[group].items[picks[group]].costs
      picks[group] = position
    }
    return problem.selection(picks)
  }

  private func gain(_ picks: [Int], _ costs: CostVector) -> (group: Int, position: Int)? {
    var best: (group: Int, position: Int)?
    var least = 0.0
    for (index, group) in problem.groups.enumerated() {
      let current = group.items[picks[index]]
      // Items are by descending loss.
      for position in group.items.indices.dropFirst(picks[index] + 1) {
        let item = group.items[position]
        let change = item.loss - current.loss
        if change < least, (costs - current.costs + item.costs).fits(problem.room) {
          (least, best) = (change, (index, position))
        }
      }
    }
    return best
  }

  /// A selection that keeps all limits, reached from one that does not by the changes that cost the least loss for what they take off
  /// the excess; nil where they lead nowhere.
  func repaired(_ start: Selection) -> Selection? {
    var picks = start.picks
    var costs = start.costs
    var excess = self.excess(costs)
    while excess > 0 {
      var best: (group: Int, position: Int, excess: Double)?
      var least = Double.infinity
      for (index, group) in problem.groups.enumerated() {
        let current = group.items[picks[index]]
        for (position, item) in group.items.enumerated() where position != picks[index] {
          let rest = self.excess(costs - current.costs + item.costs)
          guard rest < excess else { continue }
          let price = max(0, item.loss - current.loss) / (excess - rest)
          if price < least || (price == least && rest < best?.excess ?? .infinity) {
            (least, best) = (price, (index, position, rest))
          }
        }
      }
      guard let best else { return nil }
      costs +=
        problem.groups[best.group].items[best.position].costs
        - problem.groups[best.group].items[picks[best.group]].costs
      picks[best.group] = best.position
      excess = self.excess(costs)
    }
    let result = problem.selection(picks)
    return result.costs.fits(problem.room) ? result : nil
  }

  /// How far the costs are beyond the limits, each as a part of its room.
  private func excess(_ costs: CostVector) -> Double {
    (0..<4).reduce(0) { sum, axis in
      let over = costs[axis] - problem.room[axis]
      return over > 0 ? sum + over / max(problem.room[axis], .leastNormalMagnitude) : sum
    }
  }
}
