import Basics
import ModelGraph
import ONNXProto
import TensorCore

/// One node on its way into the graph.
struct ONNXConversion {
  let node: ONNXNode
  /// The layer whose kernel the node reads.
  let layer: Layer?
  let builder: ONNXGraphBuilder

  var output: String { node.proto.output.first { !$0.isEmpty } ?? node.name }

  /// An output; nil where nobody wants it.
  func output(_ index: Int) -> String? {
    guard node.proto.output.indices.contains(index), builder.isRead(node.proto.output[index]) else { return nil }
    return node.proto.output[index]
  }

  func operand(_ index: Int) throws -> String { try builder.operand(try node.requiredInput(index)) }

  /// All operands that are there.
  func operands() throws -> [String] {
    try node.proto.input.filter { !$0.isEmpty }.map { try builder.operand($0) }
  }

  /// A value that may be a weight: what the model holds stays a tensor of the checkpoint, however small.
  func weight(_ index: Int) throws -> String {
    guard let tensor = node.tensor(index), tensor.dtype.isCompressible else { return try operand(index) }
    return value(.array(.parameter(TensorReference(tensor.name), shape: tensor.shape)), [])
  }

  /// The element type of an input; nil where it is left out or does not follow.
  func kind(_ index: Int) -> ONNXElementTypes.Kind? { node.input(index).flatMap { builder.types[$0] } }

  /// The element type of the first output.
  var outputKind: ONNXElementTypes.Kind? { builder.types[output] }

  /// Makes the node's first output.
  func emit(_ operation: Operation, _ inputs: [String]) { emit(output, operation, inputs) }

  func emit(_ operation: ArrayOperation, _ inputs: [String]) { emit(.array(operation), inputs) }

  /// Makes one of the node's outputs.
  func emit(_ output: String, _ operation: Operation, _ inputs: [String]) {
    builder.append(output, layer: layer?.name ?? node.name, operation, inputs)
  }

  /// A value between the node's inputs and its output.
  func intermediate(_ part: String, _ operation: Operation, _ inputs: [String]) -> String {
    let name = "\(output)/\(part)"
    builder.append(name, layer: layer?.name ?? node.name, operation, inputs)
    return name
  }

  /// Refuses the node by name, and lets everything else be read.
  func refuse(_ reason: String) { emit(.unsupported(type: node.proto.opType, reason: reason), []) }

  func literal(_ integers: [Int]) -> String { builder.literal(Literal(integers)) }

  /// An input of newer operator versions that older ones have as an attribute of integers; nil where it is left out.
  func parameterOperand(_ index: Int, orAttribute key: String) throws -> String? {
    if let attribute = node.ints(key) { return literal(attribute) }
    return try node.input(index).map(builder.operand)
  }
}

/// Short ways to write an operator as several operations.
extension ONNXConversion {
  /// A value between, under a name of its own.
  func value(_ operation: Operation, _ inputs: [String]) -> String {
    intermediate("\(builder.nodes.count)", operation, inputs)
  }

  func value(_ operation: ArrayOperation, _ inputs: [String]) -> String { value(.array(operation), inputs) }

  func number(_ number: Double) -> String { builder.literal(Literal(scalar: number)) }

  func apply(_ function: ElementFunction, _ operand: String) -> String { value(.function(function), [operand]) }

  func combine(_ kind: Elementwise, _ operands: String...) -> String { value(.elementwise(kind), operands) }

  func shape(_ operand: String) -> String { value(.shape(axes: 0..<64), [operand]) }

  /// The extent of one axis, a vector with one element. The axis may count from the end.
  func extent(_ operand: String, _ axis: Int) -> String {
    // Wrapping, because attributes hold anything; an axis that does not exist is told by its shape.
    let end = axis == -1 ? Int(Int32.max) : axis &+ 1
    return value(.slice, [shape(operand), literal([axis]), literal([end])])
  }

  /// 0 keeps an extent, -1 is computed.
  func reshaped(_ operand: String, _ extents: [Int]) -> String {
    value(.reshape(keepsZero: false), [operand, literal(extents)])
  }

  /// With the shape of another value.
  func reshaped(_ operand: String, as other: String) -> String {
    value(.reshape(keepsZero: false), [operand, shape(other)])
  }

  func transposed(_ operand: String, _ order: [Int]) -> String { value(.transpose(order: order), [operand]) }

  /// So that it broadcasts with another value from an axis on.
  func aligned(_ operand: String, with other: String, axis: Int) -> String {
    value(.align(axis: axis), [operand, other])
  }

  func reduced(_ kind: Reduction, _ operand: String, axes: [Int]) -> String {
    value(.reduce(kind, keepsAxes: true, ignoresMissingAxes: false), [operand, literal(axes)])
  }

  /// The value times a scale and plus an offset, which are inputs of the node with one number for each entry of some axes.
  ///
  /// - Parameter axis: the first of these axes; nil where they are the last ones.
  func affine(_ operand: String, scale: Int, offset: Int?, axis: Int?) throws -> String {
    var result = operand
    for (kind, index) in [(Elementwise.multiply, scale), (.add, offset)] {
      guard let index, node.input(index) != nil else { continue }
      let parameter = try weight(index)
      result = combine(kind, result, axis.map { aligned(parameter, with: operand, axis: $0) } ?? parameter)
    }
    return result
  }
}

/// How every operator becomes nodes of the graph.
enum ONNXOperators {
  typealias Converter = @Sendable (ONNXConversion) throws -> Void

  /// The standard operators.
  static let all: [String: Converter] = [
    activations, arithmetic, arrangement, attention, kernels, normalizations, places, pooling, quantization, recurrent,
    reductions, refusals, resizing, shapes, spectra,
  ].reduce(into: [:]) { $0.merge($1) { first, _ in first } }

  /// What converts an operator of a domain; nil where nothing does.
  static func converter(_ type: String, domain: String) -> Converter? {
    switch domain {
    case "", "ai.onnx": all[type]
    case "com.microsoft": microsoft[type]
    default: nil
    }
  }
}
