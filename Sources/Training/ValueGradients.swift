import Basics
import Inference
import ModelGraph
import TensorCore

/// The derivative of a network's outputs with respect to the values inside it, by reverse accumulation.
///
/// Every node runs by itself, so that all values exist; then the gradient goes back from the outputs, node by node. Where it meets an
/// operation that has no adjoint here, the values before it have no gradient, rather than a part of one.
///
/// One run uses one thread and holds every value of its batch.
public struct ValueGradients: Sendable {
  private let graph: ModelGraph
  private let units: [Unit]

  /// A node that can run alone.
  private struct Unit: Sendable {
    let node: Node
    let engine: Engine
    /// The operands that depend on the network's inputs.
    let operands: [String]
    let adjoint: Adjoint
  }

  /// - Parameter parameter: gives a tensor of the checkpoint in the program's order.
  /// - Throws: `Failure` that names the layer which cannot be run.
  public init(_ graph: ModelGraph, parameter: (TensorReference) throws -> Tensor<Float>) throws {
    self.graph = graph
    let shapes = try graph.shapes()
    var constants: [String: [Node]] = [:]
    var units: [Unit] = []
    for node in graph.nodes {
      let before = node.inputs.compactMap { constants[$0] }.flatMap(\.self)
      let operands = node.inputs.filter { constants[$0] == nil }
      guard !operands.isEmpty else {
        constants[node.name] = before + [node]
        continue
      }
      var seen: Set<String> = []
      let own = ModelGraph(
        inputs: operands.filter { seen.insert($0).inserted }.map { .init(name: $0, shape: shapes[$0] ?? []) },
        nodes: before.filter { seen.insert($0.name).inserted } + [node],
        outputs: [.init(name: node.name, value: node.name)])
      units.append(
        Unit(
          node: node, engine: try Engine(own, parameter: parameter), operands: operands,
          adjoint: try Adjoint(node, constantOperands: node.inputs.count - operands.count, parameter)))
    }
    self.units = units
  }

  /// Runs a batch forwards and back.
  ///
  /// - Parameters:
  ///   - wanted: the values whose gradients are observed; others are made only as far as these need them.
  ///   - outputGradients: from the outputs, in the order of `graph.outputs`, to the gradient of each.
  ///   - observe: called with a value's name and its gradient, the last in the network first; not called for what has none.
  /// - Throws: `Failure` that names the layer which cannot be run, and what the closures throw.
  public func run(
    _ inputs: [String: Tensor<Float>], wanted: Set<String>,
    outputGradients: ([Tensor<Float>]) throws -> [Tensor<Float>],
    observe: (String, Tensor<Float>) throws -> Void
  ) throws {
    var values = inputs
    for unit in units {
      let operands = values.filter { unit.operands.contains($0.key) }
      values[unit.node.name] = try unit.engine.run(operands)[0]
    }
    var state = GradientState()
    let outputs = graph.outputs.compactMap { values[$0.value] }
    for (output, gradient) in zip(graph.outputs, try outputGradients(outputs)) { state.add(gradient, to: output.value) }
    guard let first = units.firstIndex(where: { wanted.contains($0.node.name) }) else { return }
    for unit in units[first...].reversed() {
      let name = unit.node.name
      let gradient = state.take(name)
      if let gradient, wanted.contains(name) { try observe(name, gradient) }
      if let gradient, let output = values[name] {
        let operands = unit.operands.compactMap { values[$0] }
        let parts = try unit.adjoint.apply(gradient, operands, output: output) { changed in
          try unit.engine.run(Dictionary(zip(unit.operands, changed)) { first, _ in first })[0]
        }
        for (index, operand) in unit.operands.enumerated() { state.add(parts?[index], to: operand) }
      } else if state.isUnknown(name) {
        for operand in unit.operands { state.add(nil, to: operand) }
      }
      values[name] = nil
    }
  }
}

/// The gradients on the way back, each the sum over the readers of its value.
private struct GradientState {
  private var gradients: [String: Tensor<Float>] = [:]
  private var unknown: Set<String> = []

  func isUnknown(_ name: String) -> Bool { unknown.contains(name) }

  /// Nil where a reader's part is not known.
  mutating func add(_ part: Tensor<Float>?, to name: String) {
    guard let part, !unknown.contains(name) else {
      unknown.insert(name)
      gradients[name] = nil
      return
    }
    gradients[name] = gradients[name].map { $0.adding(part) } ?? part
  }

  mutating func take(_ name: String) -> Tensor<Float>? { gradients.removeValue(forKey: name) }
}
