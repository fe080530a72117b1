import Basics
import Inference
import ModelGraph
import ONNXProto
import TensorCore

/// Values that nodes compute from the model's tensors alone. What only puts a tensor's elements into another arrangement is read
/// so; everything else is computed once.
struct ONNXFolding: Sendable {
  /// Every value that follows from the model's tensors, they themselves included.
  private(set) var constants: [String: ONNXConstant] = [:]
  /// What had to be computed.
  private(set) var computed: [String: StoredTensor] = [:]
  /// For every computed tensor those of the file that it is made of.
  private(set) var sources: [String: Set<String>] = [:]
  /// Computed tensors that come from quantized ones.
  private(set) var quantized: Set<String> = []
  /// How many elements may still be computed.
  private var room: Int

  /// Computed tensors hold at most so many times the elements that the file does, and some more.
  private static let growth = 2
  private static let leastRoom = 1 << 18
  /// A node may make at least so many elements, whatever it makes them of.
  private static let leastCount = 4096

  /// - Parameter tensors: Those of the file, with the types in which the graph computes with them.
  init(_ tensors: [(tensor: StoredTensor, type: DType)]) {
    for (tensor, type) in tensors {
      constants[tensor.name] = ONNXConstant(
        reference: TensorReference(tensor.name), shape: tensor.shape, type: type)
    }
    room = tensors.reduce(Self.leastRoom) { $0 + Self.growth * $1.tensor.shape.reduce(1, *) }
  }

  /// What a node makes of constants.
  struct Fold {
    var rearranged: [String: ONNXConstant] = [:]
    var computed: [StoredTensor] = []
    var sources: Set<String> = []
    var isQuantized = false
  }

  /// Takes in what a node makes.
  mutating func take(_ fold: Fold) {
    constants.merge(fold.rearranged) { $1 }
    for tensor in fold.computed {
      room -= tensor.shape.reduce(1, *)
      computed[tensor.name] = tensor
      constants[tensor.name] = ONNXConstant(
        reference: TensorReference(tensor.name), shape: tensor.shape, type: tensor.dtype)
      sources[tensor.name] = fold.sources
      if fold.isQuantized { quantized.insert(tensor.name) }
    }
  }

  /// The values of a node, if its inputs are constants and it can be computed; nil for any other node.
  func fold(_ node: ONNXNode) -> Fold? {
    let outputs = node.proto.output.filter { !$0.isEmpty }
    let inputs = node.proto.input.filter { !$0.isEmpty }
    guard !inputs.isEmpty, !outputs.isEmpty, node.isStandard, node.proto.bodies.isEmpty,
      inputs.allSatisfy({ constants[$0] != nil }), outputs.allSatisfy({ constants[$0] == nil })
    else { return nil }
    let builder = ONNXGraphBuilder(node.model)
    builder.add(node)
    let graph = ModelGraph(
      inputs: [], nodes: builder.nodes, outputs: outputs.map { ModelGraph.Output(name: $0, value: $0) })
    guard graph.unsupportedNode == nil, let shapes = try? graph.shapes() else { return nil }
    let extents = graph.nodes.compactMap { shapes[$0.name]?.known?.productIfExact }
    guard extents.count == graph.nodes.count, outputs.allSatisfy({ shapes[$0] != nil }) else { return nil }

    if outputs.count == 1, let shape = shapes[outputs[0]]?.known, let value = rearranged(node, shape) {
      return Fold(rearranged: [outputs[0]: value])
    }
    let given = inputs.reduce(0) { $0 + (constants[$1]?.shape.reduce(1, *) ?? 0) }
    let largest = extents.max() ?? 0
    let made = outputs.reduce(0) { $0 + (shapes[$1]?.known?.reduce(1, *) ?? 0) }
    guard largest <= max(Self.leastCount, Self.growth * given), made <= room, let results = values(of: graph, node)
    else { return nil }
    let holders = inputs.compactMap { constants[$0]?.reference.name }
    return Fold(
      computed: results, sources: holders.reduce(into: []) { $0.formUnion(sources[$1] ?? [$1]) },
      isQuantized: node.proto.opType == "DequantizeLinear" || holders.contains(where: quantized.contains)
        || node.proto.opType == "Cast" && inputs.contains { constants[$0]?.type == .i8 })
  }

  /// Whether the engine, which computes in single precision, holds an integer as it is.
  private static func isExact(_ value: Double) -> Bool { abs(value) < 0x1p24 }

  /// The value of a node that moves elements only; nil for any other node, and where a reference cannot say the arrangement.
  private func rearranged(_ node: ONNXNode, _ shape: [Int]) -> ONNXConstant? {
    guard let input = node.input(0).flatMap({ constants[$0] }) else { return nil }
    switch node.proto.opType {
    case "Identity", "Dropout": return input
    case "Reshape", "Flatten", "Squeeze", "Unsqueeze": return input.shape == shape ? input : input.reshaped(shape)
    case "Transpose": return input.transposed(node.ints("perm") ?? input.shape.indices.reversed())
    case "Cast":
      // To a wider type every number stays what it is.
      guard let type = node.outputType, type.isCompressible, input.type.isCompressible, type.bits >= input.type.bits,
        type.bits > input.type.bits || type == input.type
      else { return nil }
      return input.typed(type)
    default: return nil
    }
  }

  /// The node's outputs, computed; nil where they cannot be, or not exactly what they have to be.
  private func values(of graph: ModelGraph, _ node: ONNXNode) -> [StoredTensor]? {
    let literals = (try? graph.literals()) ?? [:]
    let areExact = node.proto.input.allSatisfy { name in
      guard let constant = constants[name], !constant.type.isCompressible else { return true }
      return (try? node.model.tensor(named: name)?.decoded(as: Double.self).elements.allSatisfy(Self.isExact)) == true
    }
    var run: [Tensor<Float>]?
    var results: [StoredTensor] = []
    for (index, output) in graph.outputs.enumerated() {
      guard let type = node.type(ofOutput: output.name) else { return nil }
      if !type.isCompressible, let literal = literals[output.name],
        let tensor = StoredTensor(name: output.name, shape: literal.shape, literal.values, as: type)
      {
        results.append(tensor)
        continue
      }
      if run == nil {
        run = try? Engine(graph) { reference in
          guard let tensor = node.model.holder(of: reference) else {
            throw Failure("tensor '\(reference.name)'", "cannot be read", "the model holds none of this name")
          }
          return reference.read(try tensor.decoded())
        }.run([:])
      }
      guard let values = run?[index] else { return nil }
      guard type.isCompressible || areExact && values.elements.allSatisfy({ Self.isExact(Double($0)) }),
        let tensor = StoredTensor(
          name: output.name, shape: values.shape, values.elements.map { Double($0) }, as: type)
      else { return nil }
      results.append(tensor)
    }
    return results
  }
}

extension ONNXNode {
  var isStandard: Bool { ["", "ai.onnx"].contains(proto.domain) }

  /// The type of the first output where the operands are constants; nil where it is none of those that are stored.
  var outputType: DType? { proto.output.first.flatMap(type(ofOutput:)) }

  /// The type of an output where the operands are constants; nil where it is none of those that are stored.
  func type(ofOutput name: String) -> DType? {
    guard let index = proto.output.firstIndex(of: name) else { return nil }
    let kind = ONNXElementTypes.kind(ofOutput: index, of: self) { model.constant(named: $0)?.kind }
    return kind.flatMap { Onnx_TensorProto.storedType(Int32(clamping: $0.rawValue)) }
  }
}
