import Basics
import Inference
import ModelGraph
import TensorCore

/// The derivative of a function of a network's outputs with respect to its weights and the values inside it, by reverse accumulation
/// (Linnainmaa, 1970): every node runs by itself, then the gradient goes back from the outputs, node by node.
///
/// Where it meets an operation that has no adjoint, what lies before has no gradient, rather than a part of one.
///
/// One run uses one thread. Values are kept as far as an adjoint looks at them, and dropped as it goes back.
package struct Backpropagation: Sendable {
  /// Where batch normalisations take their statistics from.
  package enum Statistics: String, Sendable {
    /// What the checkpoint holds: they are constants.
    case stored
    /// The statistics are those of the batch that runs.
    case batch
  }

  /// The network whose gradients are made.
  package let graph: ModelGraph
  let plan: GradientPlan
  private let trained: Set<String>
  private let wanted: Set<String>

  /// Plans the way forwards and back.
  ///
  /// - Parameters:
  ///   - trained: the names of the checkpoint's tensors whose gradients are made.
  ///   - wanted: the values whose gradients are observed.
  package init(
    _ graph: ModelGraph, trained: Set<String> = [], wanted: Set<String> = [], statistics: Statistics = .stored
  ) {
    self.graph = graph
    self.trained = trained
    self.wanted = wanted
    plan = GradientPlan(graph, trained: trained, wanted: wanted, usesBatchStatistics: statistics == .batch)
  }

  /// Trained weights that no gradient reaches.
  package var unreached: [String] { plan.unreached }

  /// Runs a batch forwards and back.
  ///
  /// - Parameters:
  ///   - weight: a tensor of the checkpoint in the program's order; asked for again on the way back, so that it need not be kept.
  ///   - outputGradients: from the outputs, in the order of `graph.outputs`, to the gradient of each.
  ///   - observe: called with a wanted value's name and its gradient, the last in the network first.
  ///   - collect: called with a trained weight and what one of its uses adds to its gradient.
  /// - Returns: what batch normalisations found, by their nodes' names; empty with stored statistics.
  /// - Throws: `Failure` that names the layer which cannot be run, and what the closures throw.
  @discardableResult
  package func run(
    _ inputs: [String: Tensor<Float>], weight: @escaping (TensorReference) throws -> Tensor<Float>,
    outputGradients: ([Tensor<Float>]) throws -> [Tensor<Float>],
    observe: (String, Tensor<Float>) throws -> Void = { _, _ in },
    collect: (TensorReference, Tensor<Float>) throws -> Void = { _, _ in }
  ) throws -> [String: BatchStatistics] {
    let shapes = try graph.shapes(inputs: inputs.mapValues(\.shape))
    var values = [Tensor<Float>?](repeating: nil, count: plan.valueCount)
    for (name, tensor) in inputs { if let number = plan.inputs[name] { values[number] = tensor } }
    var statistics: [String: BatchStatistics] = [:]
    for step in plan.steps { try run(step, shapes, &values, &statistics, weight) }

    var gradients = [Tensor<Float>?](repeating: nil, count: plan.valueCount)
    let outputs = plan.outputs.map { values[$0].required("every output is computed") }
    for (number, gradient) in zip(plan.outputs, try outputGradients(outputs)) { gradients.add(gradient, to: number) }
    for (number, isKept) in zip(values.indices, plan.isKept) where !isKept { values[number] = nil }
    for step in plan.steps.reversed() {
      let gradient = gradients[step.output].take()
      defer { values[step.output] = nil }
      guard let gradient else { continue }
      if wanted.contains(step.node.name) { try observe(step.node.name, gradient) }
      guard step.isActive, let adjoint = step.adjoint else { continue }
      let readsOperands = step.reads.contains(.operands)
      let result = try adjoint.gradients(
        AdjointPass(
          node: step.node, gradient: gradient, operands: readsOperands ? step.operands.compactMap { values[$0] } : [],
          operandShapes: step.node.inputs.map { shapes[$0].required("what is read has a shape") },
          output: step.reads.contains(.output) ? values[step.output] : nil, isWanted: step.isWanted,
          statistics: statistics[step.node.name], weight: weight,
          isTrained: { trained.contains($0.name) }))
      for (reference, part) in result.weights { try collect(reference, part) }
      for (position, part) in result.operands.enumerated() where step.isWanted[position] {
        if let part { gradients.add(part, to: step.operands[position]) }
      }
    }
    return statistics
  }

  private func run(
    _ step: GradientPlan.Step, _ shapes: [String: [Int]], _ values: inout [Tensor<Float>?],
    _ statistics: inout [String: BatchStatistics], _ weight: (TensorReference) throws -> Tensor<Float>
  ) throws {
    guard let shape = shapes[step.node.name] else {
      throw Failure(
        "layer '\(step.node.layer)'", "cannot be run", "the shape of its output depends on the data",
        remedy: "expected shapes that follow from those of the inputs")
    }
    let operands = step.operands.compactMap { values[$0] }
    // What nobody reads later may be overwritten.
    for number in step.released { values[number] = nil }
    if let adjoint = step.batchAdjoint {
      let (output, found) = try adjoint.runOnBatch(operands, weight: weight)
      statistics[step.node.name] = found
      values[step.output] = output
      return
    }
    values[step.output] = try NodeRunner(step.node, parameter: weight).run(operands, outputShape: shape)
  }
}

extension [Tensor<Float>?] {
  /// Adds to what several readers of a value say.
  fileprivate mutating func add(_ part: Tensor<Float>, to number: Int) {
    guard let known = self[number].take() else {
      self[number] = part
      return
    }
    self[number] = known.adding(part)
  }
}
