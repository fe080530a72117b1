/// The linear relaxation of a multiple-choice knapsack: its multiplier, the bound that follows, and the solution that
/// rounding down gives.
struct Relaxation: Sendable {
  struct Selection: Sendable {
    /// For each group the position of its item.
    var picks: [Int]
    var loss: Double
    var cost: Int
  }

  let groups: [Group]
  /// The capacity beyond the cheapest items.
  let room: Int
  /// The loss that the last byte saves.
  let multiplier: Double
  /// No solution has a smaller loss.
  let lowerBound: Double
  let greedy: Selection
  /// For each group the least of loss + multiplier * cost.
  let leastPenalized: [Double]
  /// More than rounding can move any sum of losses.
  let tolerance: Double

  init(_ groups: [Group], room: Int) {
    self.groups = groups
    self.room = room
    let steps = groups.indices.flatMap { group -> [(gain: Double, group: Int, from: Int, to: Int)] in
      let (items, hull) = (groups[group].items, groups[group].hull)
      return zip(hull, hull.dropFirst()).map { (Group.gain(items[$0], items[$1]), group, $0, $1) }
    }.sorted { ($1.gain, $0.group, $0.from) < ($0.gain, $1.group, $1.from) }

    var picks = Array(repeating: 0, count: groups.count)
    var left = room
    var multiplier = 0.0
    for step in steps {
      let items = groups[step.group].items
      let cost = items[step.to].cost - items[step.from].cost
      if picks[step.group] == step.from, cost <= left {
        picks[step.group] = step.to
        left -= cost
      } else if multiplier == 0 {
        multiplier = step.gain
      }
    }
    greedy = Self.improved(picks, groups, left: left, room: room)
    self.multiplier = multiplier
    leastPenalized = groups.map { group in
      group.items.reduce(.infinity) { min($0, $1.loss + multiplier * Double($1.cost)) }
    }
    let largest = groups.reduce(0) { $0 + ($1.items.first?.loss ?? 0) } + multiplier * Double(room)
    tolerance = largest * Double(groups.count + 4) * 4 * Double.ulpOfOne
    let bound = leastPenalized.reduce(0, +) - multiplier * Double(room)
    lowerBound = multiplier == 0 ? greedy.loss : max(0, bound - tolerance)
  }

  /// Spends what is left on the best items that still fit, off the hull too.
  private static func improved(_ start: [Int], _ groups: [Group], left: Int, room: Int) -> Selection {
    var picks = start
    var left = left
    for group in groups.indices {
      let items = groups[group].items
      let current = items[picks[group]].cost
      if let dearer = items.lastIndex(where: { $0.cost - current <= left }), dearer > picks[group] {
        left -= items[dearer].cost - current
        picks[group] = dearer
      }
    }
    let loss = zip(groups, picks).reduce(0) { $0 + $1.0.items[$1.1].loss }
    return Selection(picks: picks, loss: loss, cost: room - left)
  }
}
