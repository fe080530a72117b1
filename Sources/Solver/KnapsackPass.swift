/// One pass of dynamic programming over the groups, with a limit on the states that it keeps.
struct KnapsackPass {
  private struct State {
    /// Beyond the cheapest items.
    let costs: CostVector
    let loss: Double
    /// The Lagrangian bound on what this state can lead to.
    let bound: Double
    /// The position among the states of the group before, and that of the item taken.
    let parent: Int32
    let pick: Int32
  }

  private let relaxation: Relaxation
  private let width: Int
  private(set) var best: Selection?
  /// The least bound of all states that were dropped for want of room; infinite where none was.
  private(set) var leastDropped = Double.infinity

  private var problem: ReducedProblem { relaxation.problem }
  private var ceiling: Double { (best?.loss ?? .infinity) + relaxation.tolerance }

  init(_ relaxation: Relaxation, best: Selection?, width: Int) {
    self.relaxation = relaxation
    self.best = best
    self.width = width
  }

  /// - Parameter expansions: Counts the states made; past `limit` the pass gives up, and its bound is that of the relaxation.
  mutating func run(expansions: inout Int, limit: Int) {
    let penalized = problem.groups.indices.map(penalties)
    let base = relaxation.leastPenalized.reduce(0, +) - relaxation.multipliers.dot(problem.room)
    // Groups whose alternatives are dear come last: they hardly branch.
    let room = ceiling - base
    let branching = penalized.map { items in items.count { $0.penalty <= room } }
    let order = problem.groups.indices.sorted { (branching[$0], $1) > (branching[$1], $0) }
    var states = [State(costs: .zero, loss: 0, bound: base, parent: 0, pick: 0)]
    var history: [[(parent: Int32, pick: Int32)]] = []
    for group in order {
      var next: [State] = []
      for (parent, state) in states.enumerated() {
        for (item, penalty, pick) in penalized[group] {
          let bound = state.bound + penalty
          guard bound <= ceiling else { break }
          let costs = state.costs + item.costs
          guard costs.fits(problem.room) else { continue }
          next.append(
            State(costs: costs, loss: state.loss + item.loss, bound: bound, parent: Int32(parent), pick: pick))
        }
        if next.count > 16 * width {
          expansions += next.count
          next = kept(next)
        }
      }
      expansions += next.count + states.count
      guard expansions < limit else {
        leastDropped = min(leastDropped, relaxation.lowerBound)
        return
      }
      states = kept(next)
      history.append(states.map { ($0.parent, $0.pick) })
    }
    guard
      let last = states.indices.min(by: {
        (states[$0].loss, states[$0].costs[0]) < (states[$1].loss, states[$1].costs[0])
      })
    else { return }
    adopt(trace(from: last, history, order))
  }

  /// A group's items with what each is behind the best at the multipliers, the least first.
  private func penalties(_ group: Int) -> [(item: KnapsackGroup.Item, penalty: Double, pick: Int32)] {
    problem.groups[group].items.enumerated().map { position, item in
      let value = item.loss + relaxation.multipliers.dot(item.costs)
      return (item, value - relaxation.leastPenalized[group], Int32(position))
    }.sorted { ($0.penalty, $0.pick) < ($1.penalty, $1.pick) }
  }

  /// Under one limit, the states that no other beats; then those with the least bounds. By ascending bound.
  private mutating func kept(_ states: [State]) -> [State] {
    let isSingle = (1..<4).allSatisfy { problem.room[$0] == 0 }
    let open = (isSingle ? undominated(states) : states).enumerated()
      .sorted { ($0.element.bound, $0.offset) < ($1.element.bound, $1.offset) }
    if open.count > width { leastDropped = min(leastDropped, open[width].element.bound - relaxation.tolerance) }
    return open.prefix(width).map(\.element)
  }

  private func undominated(_ states: [State]) -> [State] {
    var result: [State] = []
    for state in states.sorted(by: { ($0.costs[0], $0.loss) < ($1.costs[0], $1.loss) })
    where state.loss < result.last?.loss ?? .infinity {
      result.append(state)
    }
    return result
  }

  private func trace(from last: Int, _ history: [[(parent: Int32, pick: Int32)]], _ order: [Int]) -> [Int] {
    var picks = Array(repeating: 0, count: order.count)
    var position = last
    for (group, states) in zip(order, history).reversed() {
      picks[group] = Int(states[position].pick)
      position = Int(states[position].parent)
    }
    return picks
  }

  /// Takes a solution if it is better.
  private mutating func adopt(_ picks: [Int]) {
    let selection = Improvement(problem).improved(problem.selection(picks))
    guard selection.costs.fits(problem.room) else { return }
    if let best, (best.loss, best.costs[0]) <= (selection.loss, selection.costs[0]) { return }
    best = selection
  }
}
