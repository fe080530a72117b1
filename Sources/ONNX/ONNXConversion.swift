import Basics
import ModelGraph
import TensorCore

/// One node on its way into the graph.
struct ONNXConversion {
  let node: ONNXNode
  /// What is known of the node's kernel; nil for one that has none.
  let use: ONNXKernels.Use?
  let builder: ONNXGraphBuilder

  /// The layer whose kernel the node reads.
  var layer: Layer? { use?.layer }
  /// The kernel, with the node's own window and bias.
  var kernel: ONNXKernel? { use?.kernel }

  var output: String { node.proto.output.first { !$0.isEmpty } ?? node.name }

  /// An output; nil where nobody wants it.
  func output(_ index: Int) -> String? {
    guard node.proto.output.indices.contains(index), !node.proto.output[index].isEmpty else { return nil }
    return node.proto.output[index]
  }

  func operand(_ index: Int) throws -> String { try builder.operand(try node.requiredInput(index)) }

  /// All operands that are there.
  func operands() throws -> [String] {
    try node.proto.input.filter { !$0.isEmpty }.map { try builder.operand($0) }
  }

  /// Makes the node's first output.
  func emit(_ operation: Operation, _ inputs: [String]) {
    builder.append(output, layer: layer?.name ?? node.name, operation, inputs)
  }

  func emit(_ operation: ArrayOperation, _ inputs: [String]) { emit(.array(operation), inputs) }

  /// A value between the node's inputs and its output.
  func intermediate(_ part: String, _ operation: Operation, _ inputs: [String]) -> String {
    let name = "\(output)/\(part)"
    builder.append(name, layer: layer?.name ?? node.name, operation, inputs)
    return name
  }

  /// Makes the node's output from its kernel. A bias that is none of the layer's is added behind: one that another node computes, and
  /// one in which the layer's uses differ.
  func emitConvolution(
    _ kernel: ONNXKernel, layout: ChannelLayout, _ make: (_ bias: TensorReference?) -> Operation
  ) throws {
    let input = try operand(0)
    let isOwn = kernel.bias == nil || layer == nil || layer?.bias == kernel.bias
    if kernel.computedBias == nil, isOwn { return emit(make(kernel.bias), [input]) }
    let product = intermediate("product", make(nil), [input])
    if let bias = kernel.bias { return emit(.bias(bias, layout: layout), [product]) }
    var bias = try builder.operand(kernel.computedBias ?? "")
    if layout == .channelsFirst {
      let ones = Array(repeating: 1, count: kernel.convolution.spatialOrder)
      bias = intermediate("bias", .array(.reshape(keepsZero: false)), [bias, literal([-1] + ones)])
    }
    emit(.elementwise(.add), [product, bias])
  }

  /// Why the node has no kernel.
  var kernelAbsence: String {
    if let reason = use?.refusal { return reason }
    if let name = node.input(1), let type = node.model.unreadType(of: name) { return "whose kernel has \(type)" }
    return "whose kernel is computed by other nodes"
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

/// How every operator becomes nodes of the graph.
enum ONNXOperators {
  typealias Converter = @Sendable (ONNXConversion) throws -> Void

  static let all: [String: Converter] =
    kernels.merging(activations) { $1 }.merging(arithmetic) { $1 }.merging(arrangement) { $1 }
    .merging(shapes) { $1 }.merging(reductions) { $1 }.merging(normalizations) { $1 }.merging(recurrent) { $1 }
}
