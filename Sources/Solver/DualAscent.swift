/// The greatest value of the Lagrangian dual of a problem: over multipliers of at least 0, the sum over all groups of the least
/// loss + multipliers * costs, less multipliers * room.
///
/// The dual is concave and made of planes, one for each selection, and has at most four unknowns: the ellipsoid method with deep cuts
/// (Bland, Goldfarb and Todd, Operations Research 29, 1981) shrinks what may hold the maximum by the same part with every plane.
/// Under one limit that is bisection. Each value is a bound, however early the search ends.
struct DualAscent {
  private let problem: ReducedProblem
  /// The limits that bind at all.
  private let axes: [Int]
  /// Multipliers count per `room`, so that all limits weigh alike.
  private let scale: CostVector
  /// More than any selection's loss: a greater dual value proves that there is none.
  private let ceiling: Double
  /// The best multipliers so far and their value.
  private(set) var multipliers = CostVector.zero
  private(set) var value = -Double.infinity
  /// The selections on the way that keep all limits, the one of least loss.
  private(set) var selection: Selection?
  /// The selection at the best multipliers, from which a solution is repaired.
  private(set) var nearest: Selection

  private static let tolerance = 1e-12
  private static let rounds = 1500

  init(_ problem: ReducedProblem) {
    self.problem = problem
    axes = (0..<4).filter { axis in
      problem.room[axis] > 0 && problem.groups.contains { $0.items.contains { $0.costs[axis] > 0 } }
    }
    var scale = CostVector.zero
    for axis in axes { scale[axis] = 1 / problem.room[axis] }
    self.scale = scale
    ceiling = problem.groups.reduce(0) { $0 + ($1.items.first?.loss ?? 0) }
    nearest = problem.selection(problem.groups.map { $0.items.count - 1 })
    climb()
  }

  /// The dual's value, the slope and the selection there; `point` is in scaled multipliers.
  private mutating func evaluate(_ point: CostVector) -> (value: Double, slope: CostVector) {
    let multipliers = point * scale
    let selection = problem.selection(problem.groups.map { $0.best(at: multipliers).position })
    let excess = selection.costs - problem.room
    let value = selection.loss + multipliers.dot(excess)
    if value > self.value { (self.value, self.multipliers, nearest) = (value, multipliers, selection) }
    if selection.costs.fits(problem.room), selection.loss < self.selection?.loss ?? .infinity {
      self.selection = selection
    }
    return (value, excess * scale)
  }

  private mutating func climb() {
    _ = evaluate(.zero)
    let count = axes.count
    guard count > 0, ceiling > 0 else { return }
    // Beyond this the dual falls wherever the problem has a solution with a thousandth of its room to spare.
    var radius = ceiling * (count == 1 ? 1 : 1000)
    var center = CostVector.zero
    if count == 1 {
      for _ in 0..<200 where radius > ceiling * Self.tolerance {
        radius /= 2
        center[axes[0]] += radius
        let (value, slope) = evaluate(center)
        if slope[axes[0]] <= 0 { center[axes[0]] -= radius }
        if value > ceiling * (1 + 1e-9) { return }
      }
      return
    }
    let size = Double(count)
    var shape = (0..<4).map { row in CostVector.unit(row) * (radius * radius * size) }
    for axis in axes { center[axis] = radius / 2 }
    for _ in 0..<Self.rounds {
      // A cut: what lies in this direction from the center cannot be better.
      var direction: CostVector
      var depth: Double
      if let negative = axes.first(where: { center[$0] < 0 }) {
        direction = -CostVector.unit(negative)
        depth = -center[negative]
      } else {
        let (value, slope) = evaluate(center)
        if value > ceiling * (1 + 1e-9) { return }
        direction = -slope
        depth = self.value - value
      }
      var image = CostVector.zero
      for axis in axes { image[axis] = shape[axis].dot(direction) }
      let width = direction.dot(image).squareRoot()
      guard width > ceiling * Self.tolerance else { return }
      let cut = depth / width
      guard cut < 1 else { return }
      let step = (1 + size * cut) / (size + 1)
      let growth = size * size / (size * size - 1) * (1 - cut * cut)
      let shrink = 2 * step / (1 + cut)
      let normal = image / width
      center -= step * normal
      for axis in axes { shape[axis] = growth * (shape[axis] - shrink * normal[axis] * normal) }
    }
  }
}

extension SIMD4<Double> {
  fileprivate static func unit(_ axis: Int) -> Self {
    var result = Self.zero
    result[axis] = 1
    return result
  }
}
