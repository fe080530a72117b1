import Basics
import ModelGraph
import ONNXProto
import TensorCore

/// Collects the nodes of a graph, adding the constants that they need.
final class ONNXGraphBuilder {
  let model: ONNXModel
  private(set) var nodes: [Node] = []
  private var made: Set<String> = []
  /// What ONNX takes the values for.
  private(set) var types: ONNXElementTypes
  /// The values that some node reads, or that the network shows.
  private let read: Set<String>
  private var literalCount = 0

  /// Literals have at most this many elements.
  private static let longestLiteral = 256

  init(_ model: ONNXModel) {
    self.model = model
    types = ONNXElementTypes(model)
    read = Set(model.proto.graph.node.flatMap(\.everyInput) + model.proto.graph.output.map(\.name))
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

  /// Adds what computes the node's outputs. What cannot be run becomes an unsupported node with the reason.
  func add(_ node: ONNXNode, layer: Layer?) {
    types.infer(node)
    // What the model holds becomes a node when it is first needed.
    if node.proto.output.first.flatMap(model.tensor(named:)) != nil { return }
    let before = nodes.count
    if let convert = ONNXOperators.converter(node.proto.opType, domain: node.proto.domain) {
      do {
        try convert(ONNXConversion(node: node, layer: layer, builder: self))
        if let reason = nodes[before...].lazy.compactMap(\.operation.refusal).first {
          forget(from: before)
          refuse(node, reason)
        } else {
          refuse(node, "of which this output is not computed")
        }
      } catch {
        forget(from: before)
        refuse(node, (error as? Failure).map { $0.reason + ($0.remedy.map { " (\($0))" } ?? "") } ?? "\(error)")
      }
    } else {
      refuse(node, "an operator that the program does not run")
    }
  }

  /// Takes back the nodes from one on.
  private func forget(from first: Int) {
    made.subtract(nodes[first...].map(\.name))
    nodes.removeSubrange(first...)
  }

  /// Says for every output that somebody reads, and that nothing makes, why that is so.
  private func refuse(_ node: ONNXNode, _ reason: String) {
    let isStandard = ["", "ai.onnx"].contains(node.proto.domain)
    let type = (isStandard ? "" : node.proto.domain + ".") + node.proto.opType
    for output in node.proto.output where isRead(output) && !made.contains(output) {
      append(output, layer: node.name, .unsupported(type: type, reason: reason), [])
    }
  }

  /// Whether a node reads the value, or the network shows it.
  func isRead(_ value: String) -> Bool { read.contains(value) }

  /// A value under its own name.
  func append(_ name: String, layer: String, _ operation: Operation, _ inputs: [String]) {
    made.insert(name)
    nodes.append(Node(name: name, layer: layer, operation: operation, inputs: inputs))
  }

  /// The name under which a value can be read: constants become nodes when they are first needed.
  func operand(_ name: String) throws -> String {
    guard !made.contains(name), let tensor = model.tensor(named: name) else { return name }
    let count = tensor.shape.reduce(1, *)
    if count <= Self.longestLiteral || !tensor.dtype.isCompressible {
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
}

extension Operation {
  /// Why it cannot be run; nil where it can.
  fileprivate var refusal: String? {
    if case .unsupported(_, let reason) = self { return reason }
    return nil
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
