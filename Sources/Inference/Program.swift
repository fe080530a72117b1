import Basics
import ModelGraph
import TensorCore

/// A graph as the steps that run one after the other on numbered slots.
struct Program: Sendable {
  struct Step: Sendable {
    let layer: String
    var computation: any Computation
    let inputs: [Int]
    /// The nodes that the step computes, of which each takes up the one before.
    var nodes: [Node]
    let output: Int
    /// The input slots that nobody reads later.
    var released: Set<Int> = []

    /// The name of the value that the step makes: that of the last node it has taken in.
    var name: String { nodes[nodes.count - 1].name }

    /// The shape of the step's value where the operands' elements decide about it.
    ///
    /// - Throws: `Failure` where it cannot be told.
    func outputShape(of operands: [Value]) throws -> [Int] {
      var shape = try nodes[0].outputShape(of: operands.map { ($0.shape, $0.elements) })
      for node in nodes.dropFirst() { shape = try shape.flatMap { try node.outputShape(of: [($0, [])]) } }
      guard let shape else {
        throw Failure(
          "layer '\(layer)'", "cannot be run", "the shape of its output does not follow from its inputs")
      }
      return shape
    }
  }

  private(set) var steps: [Step] = []
  /// The slot of every value that exists by itself.
  private(set) var slots: [String: Int] = [:]
  private let inputs: [String]
  private var slotCount = 0

  init(_ graph: ModelGraph, _ parameter: ParameterSource) throws {
    inputs = graph.inputs.map(\.name)
    for input in inputs { addSlot(input) }
    try Self.refuseUnsupported(graph)
    let shapes = try graph.shapes()
    let fused = graph.fusedNodes(shapes: shapes, by: .engine)
    var makers: [String: Int] = [:]
    for node in graph.nodes {
      do {
        let computation = try node.operation.computation(parameter)
        let operands = try node.inputs.map { name in
          guard let slot = slots[name] else {
            throw Failure("", "cannot be run", "its input '\(name)' does not exist before it")
          }
          return slot
        }
        if fused.contains(node.name), let maker = makers[node.inputs[0]], let shape = shapes[node.name],
          let merged = steps[maker].computation.taking(computation, shape)
        {
          steps[maker].computation = merged
          steps[maker].nodes.append(node)
          slots[node.inputs[0]] = nil
          slots[node.name] = steps[maker].output
          makers[node.name] = maker
          continue
        }
        makers[node.name] = steps.count
        steps.append(
          Step(
            layer: node.layer, computation: computation, inputs: operands, nodes: [node],
            output: addSlot(node.name)))
      } catch let failure as Failure {
        throw failure.subject.isEmpty ? failure.within("layer '\(node.layer)'") : failure
      }
    }
    for output in graph.outputs where slots[output.value] == nil {
      throw Failure("output '\(output.name)'", "cannot be run", "no layer makes '\(output.value)'")
    }
    var seen: Set<Int> = []
    for index in steps.indices.reversed() {
      steps[index].released = Set(steps[index].inputs).subtracting(seen)
      seen.formUnion(steps[index].inputs)
    }
  }

  /// Says what cannot be run before any weight is loaded.
  private static func refuseUnsupported(_ graph: ModelGraph) throws {
    for node in graph.nodes {
      guard case .unsupported = node.operation else { continue }
      do { _ = try node.operation.computation { _ in Tensor(zeros: []) } } catch let failure as Failure {
        throw failure.within("layer '\(node.layer)'")
      }
    }
  }

  @discardableResult
  private mutating func addSlot(_ name: String) -> Int {
    slots[name] = slotCount
    slotCount += 1
    return slotCount - 1
  }

  /// Runs the steps up to the last one that somebody observes. Slots nobody reads any more are emptied, so that the next
  /// operation may overwrite their elements.
  func run(
    _ tensors: [String: Tensor<Float>], shapes: [String: [Int]], observing values: Set<String>,
    _ observe: (String, Tensor<Float>) throws -> Void
  ) throws {
    var storage = [Value?](repeating: nil, count: slotCount)
    for name in inputs {
      guard let slot = slots[name], let tensor = tensors[name] else { continue }
      storage[slot] = Value(tensor)
      if values.contains(name) { try observe(name, tensor) }
    }
    guard let last = steps.lastIndex(where: { values.contains($0.name) }) else { return }
    for step in steps[...last] {
      var operands: [Value] = []
      for (index, slot) in step.inputs.enumerated() {
        guard let value = storage[slot] else { preconditionFailure("'\(step.name)' reads an empty slot") }
        operands.append(value)
        if step.released.contains(slot), !step.inputs[(index + 1)...].contains(slot) { storage[slot] = nil }
      }
      let shape = try shapes[step.name] ?? step.outputShape(of: operands)
      do {
        let value = try step.computation.run(&operands, outputShape: shape)
        if values.contains(step.name) { try observe(step.name, value.tensor) }
        storage[step.output] = value
      } catch let failure as Failure where failure.subject.isEmpty {
        throw failure.within("layer '\(step.layer)'")
      }
    }
  }
}

extension Computation {
  /// This computation with `next`, which the graph fuses with it, as part of its finish. Nil where the values of `next` do not fit the
  /// channels: then it says so when it runs.
  fileprivate func taking(_ next: any Computation, _ shape: [Int?]) -> (any Computation)? {
    guard var merged = self as? any FinishingComputation, let next = next as? ChannelwiseComputation else {
      preconditionFailure("\(type(of: next)) does not run as the end of \(type(of: self))")
    }
    if let affine = next.finish.affine {
      let axis = merged.channelAxis(rank: shape.count)
      precondition(next.channelAxis(rank: shape.count) == axis, "what is fused has its channels on another axis")
      guard shape[axis] == affine.offset.count, merged.finish.append(affine) else { return nil }
    }
    if let activation = next.finish.activation { merged.finish.append(activation) }
    return merged
  }
}
