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
  private var literalCount = 0
  /// The operator that is being converted, and those of the nodes.
  private var type = ""
  private var operators: [String: String] = [:]

  /// Literals have at most this many elements.
  private static let longestLiteral = 256

  init(_ model: ONNXModel) {
    self.model = model
    types = ONNXElementTypes(model)
  }

  func graph() throws -> ModelGraph {
    let proto = model.proto.graph
    let held = Set(proto.initializer.map(\.name))
    let inputs = try proto.input.filter { !held.contains($0.name) }.map { input in
      ModelGraph.Input(name: input.name, shape: try input.extents ?? shapeFromReaders(of: input.name))
    }
    for output in proto.output where model.constant(named: output.name) != nil { _ = try operand(output.name) }
    return ModelGraph(
      inputs: inputs, nodes: nodes, outputs: proto.output.map { ModelGraph.Output(name: $0.name, value: $0.name) })
  }

  /// Adds what computes the node's outputs. What cannot be run becomes an unsupported node with the reason.
  func add(_ node: ONNXNode, use: ONNXKernels.Use? = nil) {
    types.infer(node)
    // Constants become nodes when they are first needed.
    if node.proto.output.first.flatMap(model.constant(named:)) != nil { return }
    type = (node.isStandard ? "" : node.proto.domain + ".") + node.proto.opType
    let before = nodes.count
    if let convert = ONNXOperators.converter(node.proto.opType, domain: node.proto.domain) {
      do {
        try convert(ONNXConversion(node: node, use: use, builder: self))
        if let reason = nodes[before...].lazy.compactMap(\.operation.refusal).first {
          forget(from: before)
          refuse(node, reason)
        } else {
          refuse(node, "of which this output is not computed")
        }
      } catch {
        forget(from: before)
        refuse(node, (error as? Failure).map { "which \($0.problem): \($0.reason)" } ?? "\(error)")
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
    let operands = node.proto.input.filter(made.contains)
    for output in node.proto.output where isRead(output) && !made.contains(output) {
      append(output, layer: node.name, .unsupported(type: type, reason: reason), operands)
    }
  }

  /// Whether a node reads the value, or the network shows it.
  func isRead(_ value: String) -> Bool { model.wiring.readers[value] != nil }

  /// The operator of the file that a node of the graph is made for.
  func type(of node: Node) -> String { operators[node.name] ?? "" }

  /// The shape of an input of which the model says nothing, as far as the operations that read it tell.
  private func shapeFromReaders(of input: String) -> [Int?]? {
    for node in nodes where node.inputs.contains(input) {
      guard case .convolution(let convolution, .channelsFirst, _, _) = node.operation, convolution.spatialOrder > 0
      else { continue }
      return [nil, convolution.inputChannels] + Array(repeating: nil, count: convolution.spatialOrder)
    }
    return nil
  }

  /// A value under its own name.
  func append(_ name: String, layer: String, _ operation: Operation, _ inputs: [String]) {
    made.insert(name)
    operators[name] = type
    nodes.append(Node(name: name, layer: layer, operation: operation, inputs: inputs))
  }

  /// The name under which a value can be read: constants become nodes when they are first needed.
  func operand(_ name: String) throws -> String {
    guard !made.contains(name) else { return name }
    guard let constant = model.constant(named: name) else {
      if let type = model.unreadType(of: name) {
        append(
          name, layer: name, .unsupported(type: "tensor", reason: "which reads '\(name)', and \(type) is not read"), [])
      }
      return name
    }
    let count = constant.shape.reduce(1, *)
    if count <= Self.longestLiteral || !constant.type.isCompressible, let tensor = model.tensor(named: name) {
      let values = try tensor.decoded(as: Double.self).elements
      append(name, layer: name, .array(.constant(Literal(shape: constant.shape, values: values))), [])
    } else {
      append(name, layer: name, .array(.parameter(constant.reference, shape: constant.shape)), [])
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
  /// The shape that the model states; nil where it does not even say how many axes there are.
  fileprivate var extents: [Int?]? {
    get throws {
      guard type.tensorType.hasShape else { return nil }
      return try type.tensorType.shape.dim.map { extent -> Int? in
        guard case .dimValue(let value) = extent.value else { return nil }
        guard value <= Int64(Int32.max) else {
          throw Failure("input '\(name)'", "cannot be read", "its shape has an extent of \(value)")
        }
        // Exporters write 0 and -1 for what is open, too.
        return value <= 0 ? nil : Int(value)
      }
    }
  }
}
