import Basics
import ModelGraph

/// Which way gradients take through a network: what has to be kept while it runs, and what is reached on the way back.
struct GradientPlan: Sendable {
  /// What is known of one node before any weight is.
  struct Step: Sendable {
    let node: Node
    let adjoint: (any Adjoint)?
    /// Values by number: the graph's inputs first, then the nodes.
    let operands: [Int]
    let output: Int
    /// Whether the way back goes through it.
    var isActive = false
    /// Runs the node where the batch's statistics take the place of the stored ones; nil where they do not.
    var batchAdjoint: (any BatchStatisticsAdjoint)?
    /// Whether the gradient of each operand is made.
    var isWanted: [Bool]
    /// Operands that nobody reads after it, on the way there or back.
    var released: [Int] = []
    /// Values that are kept until it has been passed on the way back.
    var reads: AdjointReads = []
  }

  let steps: [Step]
  let inputs: [String: Int]
  let outputs: [Int]
  let valueCount: Int
  /// Values kept for the way back, by number.
  let isKept: [Bool]
  /// Trained weights that no gradient reaches, because an operation behind them has none.
  let unreached: [String]

  /// - Parameters:
  ///   - trained: the names of the weights that change.
  ///   - wanted: the names of values whose gradients are asked for.
  init(_ graph: ModelGraph, trained: Set<String>, wanted: Set<String>, usesBatchStatistics: Bool) {
    var numbers: [String: Int] = [:]
    for input in graph.inputs { numbers[input.name] = numbers.count }
    let isTrained = { (reference: TensorReference) in trained.contains(reference.name) }
    var steps: [Step] = []
    // Of a graph whose values do not all exist only the engine says so: there is nothing to plan for them.
    for node in graph.nodes {
      let operands = node.inputs.compactMap { numbers[$0] }
      let output = numbers.count
      numbers[node.name] = output
      steps.append(
        Step(
          node: node, adjoint: node.adjoint, operands: operands, output: output,
          isWanted: operands.map { _ in false }))
    }
    valueCount = numbers.count
    outputs = graph.outputs.compactMap { numbers[$0.value] }

    // Forwards: whose gradient could tell of a weight or a wanted value.
    var isUpstream = Array(repeating: false, count: valueCount)
    for name in wanted { if let number = numbers[name] { isUpstream[number] = true } }
    var weights: [[String]] = []
    for step in steps {
      let own = step.node.operation.references.filter(isTrained).map(\.name)
      weights.append(own)
      if !own.isEmpty || step.operands.contains(where: { isUpstream[$0] }) { isUpstream[step.output] = true }
    }

    // Backwards: what a gradient reaches. A value that an operation without an adjoint reads has none, rather than a part of one.
    var isReached = Array(repeating: false, count: valueCount)
    var isBlocked = Array(repeating: false, count: valueCount)
    for output in outputs { isReached[output] = true }
    var reached: Set<String> = []
    var lost: Set<String> = []
    for index in steps.indices.reversed() {
      let output = steps[index].output
      guard isReached[output] else { continue }
      let passes = !isBlocked[output]
      if passes, steps[index].adjoint != nil {
        reached.formUnion(weights[index])
      } else {
        lost.formUnion(weights[index])
      }
      for (position, operand) in steps[index].operands.enumerated() {
        isReached[operand] = true
        if passes, steps[index].adjoint != nil {
          steps[index].isWanted[position] = isUpstream[operand]
        } else {
          isBlocked[operand] = true
        }
      }
      steps[index].isActive = passes && isUpstream[output] && steps[index].adjoint != nil
    }
    for index in steps.indices {
      for (position, operand) in steps[index].operands.enumerated() where isBlocked[operand] {
        steps[index].isWanted[position] = false
      }
      if usesBatchStatistics, steps[index].node.operation.hasBatchStatistics {
        steps[index].batchAdjoint = (steps[index].adjoint as? any BatchStatisticsAdjoint)
          .required("what has statistics of batches has an adjoint that runs on them")
      }
      // Nobody asks for what it would give.
      if weights[index].isEmpty, !steps[index].isWanted.contains(true) { steps[index].isActive = false }
      guard steps[index].isActive else { continue }
      steps[index].reads = steps[index].adjoint?.reads(isTrained: isTrained) ?? []
      if steps[index].batchAdjoint != nil { steps[index].reads.insert(.operands) }
    }
    unreached = trained.subtracting(reached.subtracting(lost)).sorted()

    var isKept = Array(repeating: false, count: valueCount)
    for step in steps where step.isActive {
      if step.reads.contains(.output) { isKept[step.output] = true }
      if step.reads.contains(.operands) { for operand in step.operands { isKept[operand] = true } }
    }
    self.isKept = isKept
    var isReadLater = isKept
    for output in outputs { isReadLater[output] = true }
    for index in steps.indices.reversed() {
      for operand in steps[index].operands where !isReadLater[operand] {
        isReadLater[operand] = true
        steps[index].released.append(operand)
      }
    }
    self.steps = steps
    inputs = Dictionary(
      uniqueKeysWithValues: graph.inputs.map { ($0.name, numbers[$0.name].required("every input has a number")) })
  }
}
