import Basics
import ModelGraph
import ONNXProto
import TensorCore

/// An ONNX model in the program's own terms: its layers with kernels and its graph.
struct ONNXGraph: Sendable {
  let model: ONNXModel
  let graph: ModelGraph
  let layers: [Layer]
  /// The same by their names.
  let layersByName: [String: Layer]
  /// For every layer the positions of its nodes in the model.
  let uses: [String: [Int]]
  /// The count of axes of every value for which it is known.
  let ranks: [String: Int]

  /// - Throws: `Failure` for a graph that is none: cycles, values that nobody makes.
  init(_ model: ONNXModel) throws {
    self.model = model
    let builder = ONNXGraphBuilder(model)
    let kernels = try ONNXKernels(model)
    for index in try model.sortedNodes() {
      let node = ONNXNode(proto: model.proto.graph.node[index], opset: model.opset, model: model)
      try builder.add(node, layer: kernels.layer(ofNode: index))
    }
    let built = try builder.graph()
    let shapes = try built.shapes()
    graph = built.mergingEqualRanks(shapes)
    ranks = shapes.mapValues(\.count)
    let nodes = built.kernelNodes
    layers = kernels.layers.map { $0.with(inputExtents: $0.inputExtents(at: nodes[$0.name] ?? [], shapes)) }
    layersByName = Dictionary(layers.map { ($0.name, $0) }) { first, _ in first }
    uses = kernels.uses
  }
}

extension ModelGraph {
  /// The graph with sums and the like of values with the same count of axes as merges, with which the engine joins what follows.
  /// Where the counts agree, both broadcast alike.
  fileprivate func mergingEqualRanks(_ shapes: [String: [Int?]]) -> ModelGraph {
    let constants = Set(nodes.filter(\.inputs.isEmpty).map(\.name))
    let merges: [Elementwise: Merge] = [
      .add: .add, .subtract: .subtract, .multiply: .multiply, .minimum: .minimum, .maximum: .maximum,
    ]
    return ModelGraph(
      inputs: inputs,
      nodes: nodes.map { node in
        guard case .array(.elementwise(let kind)) = node.operation, let merge = merges[kind], node.inputs.count == 2,
          constants.isDisjoint(with: node.inputs), let first = shapes[node.inputs[0]], first.count > 1,
          shapes[node.inputs[1]]?.count == first.count
        else { return node }
        return Node(name: node.name, layer: node.layer, operation: .merge(merge), inputs: node.inputs)
      }, outputs: outputs)
  }
}

extension ONNXModel {
  /// The nodes in an order in which they can run.
  func sortedNodes() throws -> [Int] {
    let nodes = proto.graph.node
    var makers: [String: Int] = [:]
    let held = Set(proto.graph.initializer.map(\.name))
    for (index, node) in nodes.enumerated() {
      for output in node.output where !output.isEmpty {
        guard makers.updateValue(index, forKey: output) == nil,
          !held.contains(output)
        else { throw Failure("value '\(output)'", "cannot be read", "two nodes make it") }
      }
    }
    let given = Set(proto.graph.input.map(\.name) + tensors.map(\.name)).union(held)
    var waiting = [Int](repeating: 0, count: nodes.count)
    var readers: [Int: [Int]] = [:]
    for (index, node) in nodes.enumerated() {
      for input in Set(node.input) where !input.isEmpty {
        if let maker = makers[input] {
          waiting[index] += 1
          readers[maker, default: []].append(index)
        } else if !given.contains(input) {
          throw Failure(
            "node '\(node.name.isEmpty ? node.output.first ?? node.opType : node.name)'", "cannot be read",
            "its input '\(input)' is neither an input, an initialiser nor made by a node")
        }
      }
    }
    var order: [Int] = []
    var ready = nodes.indices.filter { waiting[$0] == 0 }
    var position = 0
    while position < ready.count {
      let index = ready[position]
      position += 1
      order.append(index)
      for reader in readers[index] ?? [] {
        waiting[reader] -= 1
        if waiting[reader] == 0 { ready.append(reader) }
      }
    }
    guard order.count == nodes.count else {
      let stuck = nodes.indices.first { waiting[$0] > 0 }.map { nodes[$0].output.first ?? "" } ?? ""
      throw Failure("value '\(stuck)'", "cannot be read", "it depends on itself: the graph has a cycle")
    }
    // Models are sorted already; then their own order stays.
    return isSorted(makers) ? Array(nodes.indices) : order
  }

  private func isSorted(_ makers: [String: Int]) -> Bool {
    proto.graph.node.enumerated().allSatisfy { index, node in
      node.input.allSatisfy { (makers[$0] ?? -1) < index }
    }
  }
}

/// Collects the nodes of a graph, adding the constants that they need.
final class ONNXGraphBuilder {
  let model: ONNXModel
  private(set) var nodes: [Node] = []
  private var made: Set<String> = []
  /// Values that hold integers, which divide otherwise.
  private var integers: Set<String> = []
  private var literalCount = 0

  /// Literals have at most this many elements.
  private static let longestLiteral = 256

  init(_ model: ONNXModel) {
    self.model = model
    for input in model.proto.graph.input where [6, 7].contains(input.type.tensorType.elemType) {
      integers.insert(input.name)
    }
  }

  func graph() throws -> ModelGraph {
    let proto = model.proto.graph
    let held = Set(proto.initializer.map(\.name))
    let inputs = try proto.input.filter { !held.contains($0.name) }.map { input in
      ModelGraph.Input(name: input.name, shape: try input.extents)
    }
    for output in proto.output where model.tensor(named: output.name) != nil { _ = try operand(output.name) }
    return ModelGraph(
      inputs: inputs, nodes: nodes, outputs: proto.output.map { ModelGraph.Output(name: $0.name, value: $0.name) })
  }

  /// Adds what computes the node's outputs.
  func add(_ node: ONNXNode, layer: Layer?) throws {
    // What the model holds becomes a node when it is first needed.
    if node.proto.output.first.flatMap(model.tensor(named:)) != nil { return }
    let isStandard = ["", "ai.onnx"].contains(node.proto.domain)
    let before = nodes.count
    if isStandard, let convert = ONNXOperators.all[node.proto.opType] {
      let context = ONNXConversion(node: node, layer: layer, builder: self)
      try convert(context)
      markIntegers(node)
    }
    if nodes.count == before {
      let known = node.proto.output.filter { !$0.isEmpty && made.contains($0) }
      guard known.isEmpty, let output = node.proto.output.first(where: { !$0.isEmpty }) else { return }
      let type = (isStandard ? "" : node.proto.domain + ".") + node.proto.opType
      append(
        output, layer: node.name,
        .unsupported(type: type, reason: "an operator that the program does not run"), [])
    }
  }

  /// A value under its own name.
  func append(_ name: String, layer: String, _ operation: Operation, _ inputs: [String]) {
    made.insert(name)
    nodes.append(Node(name: name, layer: layer, operation: operation, inputs: inputs))
  }

  /// The name under which a value can be read: constants become nodes when they are first needed.
  func operand(_ name: String) throws -> String {
    guard !made.contains(name), let tensor = model.tensor(named: name) else { return name }
    if [.i64, .i32, .u8, .bool].contains(tensor.dtype) { integers.insert(name) }
    let count = tensor.shape.reduce(1, *)
    if count <= Self.longestLiteral || integers.contains(name) {
      let values = try tensor.decoded(as: Double.self).elements
      append(name, layer: name, .array(.constant(Literal(shape: tensor.shape, values: values))), [])
    } else {
      append(name, layer: name, .array(.parameter(TensorReference(name), shape: tensor.shape)), [])
    }
    return name
  }

  /// A literal as a value.
  func literal(_ value: Literal) -> String {
    literalCount += 1
    let name = "literal \(literalCount)"
    append(name, layer: name, .array(.constant(value)), [])
    return name
  }

  func isInteger(_ name: String) -> Bool { integers.contains(name) }

  private func markIntegers(_ node: ONNXNode) {
    let isInteger: Bool
    switch node.proto.opType {
    case "Shape", "Size", "ArgMax", "ArgMin": isInteger = true
    case "Cast": isInteger = ![1, 10, 11, 16].contains(node.int("to", default: 1))
    case "ConstantOfShape":
      isInteger = node.proto.attribute(named: "value").map { ![1, 10, 11, 16].contains(Int($0.t.dataType)) } ?? false
    case "Where": isInteger = node.input(1).map(integers.contains) ?? false
    default: isInteger = node.input(0).map(integers.contains) ?? false
    }
    if isInteger { integers.formUnion(node.proto.output) }
  }
}

extension Onnx_ValueInfoProto {
  /// The shape that the model states.
  fileprivate var extents: [Int?] {
    get throws {
      guard type.tensorType.hasShape else {
        throw Failure("input '\(name)'", "cannot be read", "the model does not say how many axes it has")
      }
      return try type.tensorType.shape.dim.map { extent -> Int? in
        guard case .dimValue(let value) = extent.value else { return nil }
        guard value >= 0, value <= Int64(Int32.max) else {
          throw Failure("input '\(name)'", "cannot be read", "its shape has an extent of \(value)")
        }
        // Exporters write 0 and -1 for what is open, too.
        return value == 0 ? nil : Int(value)
      }
    }
  }
}
