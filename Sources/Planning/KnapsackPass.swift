/// One pass of dynamic programming over the groups, with a limit on the states that it keeps.
struct KnapsackPass {
  private struct State {
    let cost: Int
    let loss: Double
    /// The Lagrangian bound on what this state can lead to.
    let bound: Double
    /// The position among the states of the group before, and that of the item taken.
    let parent: Int32
    let pick: Int32
  }

  private let relaxation: Relaxation
  private let width: Int
  private(set) var best: Relaxation.Selection
  /// The least bound of all states that were dropped for want of room; infinite where none was.
  private(set) var leastDropped = Double.infinity

  init(_ relaxation: Relaxation, best: Relaxation.Selection, width: Int) {
    self.relaxation = relaxation
    self.best = best
    self.width = width
  }

  /// - Parameter expansions: Counts the states made; past `limit` the pass gives up, and its bound is that of the relaxation.
  mutating func run(expansions: inout Int, limit: Int) {
    let (groups, room, multiplier) = (relaxation.groups, relaxation.room, relaxation.multiplier)
    // Groups whose alternatives are dear come last: they hardly branch.
    let order = groups.indices.sorted { (branching($0), $1) > (branching($1), $0) }
    let base = relaxation.leastPenalized.reduce(0, +) - multiplier * Double(room)
    var states = [State(cost: 0, loss: 0, bound: base, parent: 0, pick: 0)]
    var history: [[(parent: Int32, pick: Int32)]] = []
    for group in order {
      let items = groups[group].items
      let penalties = items.map {
        $0.loss + multiplier * Double($0.cost) - relaxation.leastPenalized[group]
      }
      var next: [State] = []
      for (parent, state) in states.enumerated() {
        for (pick, item) in items.enumerated() {
          let bound = state.bound + penalties[pick]
          guard state.cost + item.cost <= room else { break }
          guard bound <= best.loss + relaxation.tolerance else { continue }
          next.append(
            State(
              cost: state.cost + item.cost, loss: state.loss + item.loss, bound: bound,
              parent: Int32(parent), pick: Int32(pick)))
        }
      }
      expansions += next.count + states.count * items.count / 8
      guard expansions < limit else {
        leastDropped = min(leastDropped, relaxation.lowerBound)
        return
      }
      states = kept(undominated(next))
      history.append(states.map { ($0.parent, $0.pick) })
    }
    guard let last = states.indices.min(by: { (states[$0].loss, states[$0].cost) < (states[$1].loss, states[$1].cost) })
    else { return }
    adopt(trace(from: last, history, order))
  }

  /// How many items of a group could replace its best one at present.
  private func branching(_ group: Int) -> Int {
    let room = best.loss + relaxation.tolerance - relaxation.lowerBound
    return relaxation.groups[group].items.count { item in
      item.loss + relaxation.multiplier * Double(item.cost) - relaxation.leastPenalized[group] <= room
    }
  }

  private func undominated(_ states: [State]) -> [State] {
    var result: [State] = []
    for state in states.sorted(by: { ($0.cost, $0.loss) < ($1.cost, $1.loss) })
    where state.loss < result.last?.loss ?? .infinity {
      result.append(state)
    }
    return result
  }

  private mutating func kept(_ states: [State]) -> [State] {
    guard states.count > width else { return states }
    let order = states.indices.sorted { (states[$0].bound, $0) < (states[$1].bound, $1) }
    leastDropped = min(leastDropped, states[order[width]].bound - relaxation.tolerance)
    return order.prefix(width).sorted().map { states[$0] }
  }

  private func trace(
    from last: Int, _ history: [[(parent: Int32, pick: Int32)]], _ order: [Int]
  ) -> [Int] {
    var picks = Array(repeating: 0, count: order.count)
    var position = last
    for (group, states) in zip(order, history).reversed() {
      picks[group] = Int(states[position].pick)
      position = Int(states[position].parent)
    }
    return picks
  }

  /// Takes a solution if it is better; sums run over the groups in their own order, so that equal choices have equal losses.
  private mutating func adopt(_ picks: [Int]) {
    let items = zip(relaxation.groups, picks).map { $0.items[$1] }
    let loss = items.reduce(0) { $0 + $1.loss }
    let cost = items.reduce(0) { $0 + $1.cost }
    if (loss, cost) < (best.loss, best.cost) {
      best = Relaxation.Selection(picks: picks, loss: loss, cost: cost)
    }
  }
}
