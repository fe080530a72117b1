import Basics
import ModelGraph

extension Backpropagation {
  /// The most numbers that are alive at once while a batch runs forwards and back: values that are kept, values in the making and their
  /// gradients. Weights are not counted.
  ///
  /// - Parameter shapes: of the inputs, by name.
  /// - Throws: `Failure` where they do not fit.
  package func peakCount(_ shapes: [String: [Int]]) throws -> Int {
    let all = try graph.shapes(inputs: shapes)
    var counts = [Int](repeating: 0, count: plan.valueCount)
    // A run ends at the first value whose shape is not known; such values count nothing.
    for (name, number) in plan.inputs { counts[number] = all[name]?.reduce(1, *) ?? 0 }
    for step in plan.steps { counts[step.output] = all[step.node.name]?.reduce(1, *) ?? 0 }

    var alive = plan.inputs.values.reduce(0) { $0 + counts[$1] }
    var peak = alive
    for step in plan.steps {
      peak = max(peak, alive + counts[step.output])
      let reuses = step.node.operation.isElementwise && step.released.contains { counts[$0] == counts[step.output] }
      alive += counts[step.output] - step.released.reduce(0) { $0 + counts[$1] }
      if !reuses { peak = max(peak, alive) }
    }
    alive = counts.indices.reduce(0) { $0 + (plan.isKept[$1] ? counts[$1] : 0) }
    var gradients: [Int: Int] = [:]
    for output in plan.outputs { gradients[output] = counts[output] }
    for step in plan.steps.reversed() {
      if let own = gradients[step.output], step.isActive {
        let made = zip(step.operands, step.isWanted).filter(\.1).map(\.0)
        let parts = made.reduce(0) { $0 + counts[$1] }
        // A sum with what another reader said is a value of its own.
        let sums = made.reduce(0) { $0 + (gradients[$1] ?? 0) }
        peak = max(peak, alive + gradients.values.reduce(0, +) + parts + max(sums, own))
        for operand in made { gradients[operand] = counts[operand] }
      }
      gradients[step.output] = nil
      if plan.isKept[step.output] { alive -= counts[step.output] }
    }
    return peak
  }
}
