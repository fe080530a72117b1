/// The Lagrangian relaxation of a multiple-choice knapsack: its multipliers, the bound that follows, and a first solution.
struct Relaxation: Sendable {
  let problem: ReducedProblem
  /// The loss that the last unit under each limit saves.
  let multipliers: CostVector
  /// No solution has a smaller loss.
  let lowerBound: Double
  /// The best solution that the search for the multipliers met or that its neighbours gave; nil where there was none.
  let selection: Selection?
  /// For each group the least of loss + multipliers * costs.
  let leastPenalized: [Double]
  /// More than rounding can move any sum of losses.
  let tolerance: Double

  init(_ problem: ReducedProblem) {
    self.problem = problem
    let ascent = DualAscent(problem)
    multipliers = ascent.multipliers
    leastPenalized = problem.groups.map { $0.best(at: ascent.multipliers).value }
    let largest = problem.groups.reduce(0) { $0 + ($1.items.first?.loss ?? 0) } + multipliers.dot(problem.room)
    tolerance = largest * Double(problem.groups.count + 4) * 4 * Double.ulpOfOne
    // Without multipliers every group has its best item, and nothing is rounded away.
    lowerBound = multipliers == .zero ? ascent.value : max(0, ascent.value - tolerance)
    let repaired = Improvement(problem).repaired(ascent.nearest)
    let starts = [ascent.selection, repaired].compactMap(\.self).map(Improvement(problem).improved)
    selection = starts.min { $0.loss < $1.loss }
  }
}
