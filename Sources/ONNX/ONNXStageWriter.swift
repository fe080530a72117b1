import Checkpoints
import ModelGraph
import ONNXProto
import TensorCore

/// The stages of one layer as operators that every version from 7 on has: Conv, MatMul, Reshape, Gather, Add.
///
/// A weight that is shared over the outermost part of the channels moves that part to the batch and back, which Reshape does
/// without copying and whatever the spatial extents are; a permutation of channels is a Gather. So nothing has more axes than
/// the layer itself.
struct ONNXStageWriter {
  let layer: Layer
  /// The count of axes of the layer's input; nil where it is not known.
  let rank: Int?
  let stages: [Stage]
  /// The name of a weight in the file.
  let name: (SequentialTensor) -> String

  /// - Precondition: The layer has spatial axes, or a weight that is shared, for which `ONNXEditor.refusal` asks for the rank.
  private var knownRank: Int {
    guard let rank else { preconditionFailure("'\(layer.name)' has been refused") }
    return rank
  }

  private var isLinear: Bool { layer.convolution.spatialOrder == 0 }

  /// The weights with their names, their shape in the file, and their place among the weights.
  var weights: [(name: String, shape: [Int], weight: Int)] {
    stages.sequentialTensors.compactMap { tensor in
      guard case .weight(let index, let shape) = tensor.role else { return nil }
      return (name(tensor), order(ofWeight: index).map { shape[$0] }, index)
    }
  }

  /// A weight as the file has it.
  func stored<Scalar>(_ weight: Tensor<Scalar>, _ index: Int) -> Tensor<Scalar> {
    weight.permuted(order(ofWeight: index))
  }

  /// The same of integers, with their scales.
  func stored(_ weight: RoundedTensor, _ index: Int) -> (integers: [Int8], scales: [Float]) {
    let values = Tensor<Float>(shape: weight.shape, elements: weight.integers.map { Float($0) })
    return (values.permuted(order(ofWeight: index)).elements.map { Int8($0) }, weight.scales)
  }

  /// The axis of a weight in the file that counts the output channels.
  func channelAxis(ofWeight index: Int) -> Int { order(ofWeight: index).firstIndex(of: 0) ?? 0 }

  /// The order of a weight's modes in the file: (in, out) for MatMul, and (in, out, spatial...) for a ConvTranspose that has no groups.
  private func order(ofWeight index: Int) -> [Int] {
    let convolution = stages.convolutions[index]
    let own = Array(convolution.kernelShape.indices)
    return isLinear || (convolution.transposition != nil && convolution.groups == 1) ? [1, 0] + own.dropFirst(2) : own
  }

  /// The integers that the nodes need in place of one of the layer's.
  func vectors(for original: Onnx_NodeProto) -> [IntegerVector] {
    guard stages.contains(where: \.mayNeedVectors) else { return [] }
    var result: [IntegerVector] = []
    _ = nodes(
      for: original,
      vector: { vector in
        result.append(vector)
        return ""
      }, unique: { $0 }, uniqueNode: { $0 })
    return result
  }

  /// The nodes that take the place of one of the layer's, with initialisers for the integers that they need.
  func nodes(for original: Onnx_NodeProto, makingNamesIn edit: inout ONNXEdit) -> [Onnx_NodeProto] {
    var copy = edit
    defer { edit = copy }
    return nodes(
      for: original, vector: { copy.name(of: $0) }, unique: { copy.uniqueName($0) },
      uniqueNode: { copy.uniqueNodeName($0) })
  }

  /// - Parameters:
  ///   - vector: Gives the name of an initialiser with these integers.
  ///   - unique: Gives a name like this one that no value has yet; `uniqueNode` one that no node has.
  private func nodes(
    for original: Onnx_NodeProto, vector: (IntegerVector) -> String, unique: (String) -> String,
    uniqueNode: (String) -> String
  ) -> [Onnx_NodeProto] {
    var parts: [Onnx_NodeProto] = []
    func add(_ type: String, _ inputs: [String], _ attributes: [Onnx_AttributeProto] = []) {
      var node = Onnx_NodeProto()
      node.opType = type
      if let last = parts.indices.last, parts[last].output[0].isEmpty {
        parts[last].output[0] = unique("\(original.output[0])/\(last)")
      }
      node.input = [parts.last?.output[0] ?? original.input[0]] + inputs
      node.attribute = attributes
      node.output = [""]
      parts.append(node)
    }
    let bias = original.input.count > 2 && !original.input[2].isEmpty ? original.input[2] : nil
    var names = weights.map(\.name)[...]
    // A bias that is none of the layer's stays where it is: behind.
    let isLayers = stages.contains { if case .bias = $0 { true } else { false } }
    let all = bias == nil || isLayers ? stages : stages + [.bias(channels: layer.convolution.outputChannels)]
    for (index, stage) in all.enumerated() {
      switch stage {
      case .convolution(let convolution):
        let isShared = convolution.batch > 1
        if isShared { add("Reshape", [vector(folded(convolution.inputChannels / convolution.batch))]) }
        var inputs = [names.removeFirst()]
        if !isLinear, !isShared, case .bias = all.dropFirst(index + 1).first, let bias { inputs.append(bias) }
        if isLinear {
          add("MatMul", inputs)
        } else {
          add(convolution.transposition == nil ? "Conv" : "ConvTranspose", inputs, convolution.attributes)
        }
        if isShared { add("Reshape", [vector(unfolded(convolution.outputChannels))]) }
      case .permutation(let axes, let order):
        add(
          "Gather", [vector(.init(.places, Self.places(axes, order)))], [.int("axis", isLinear ? (rank ?? 0) - 1 : 1)])
      case .bias:
        guard let bias else { continue }
        if isLinear {
          add("Add", [bias])
        } else if case .convolution(let convolution) = all.prefix(index).last, convolution.batch == 1 {
          continue
        } else {
          // The bias as it is has one axis; channels are followed by the spatial ones.
          var node = Onnx_NodeProto()
          node.opType = "Reshape"
          node.input = [bias, vector(.init(.extents, [-1] + Array(repeating: 1, count: knownRank - 2)))]
          node.output = [unique("\(original.output[0])/bias")]
          add("Add", [node.output[0]])
          parts.insert(node, at: 0)
        }
      }
    }
    if parts.isEmpty { add("Identity", []) }
    let last = parts.count - 1
    parts[last].output = original.output
    for index in parts.indices where !original.name.isEmpty {
      parts[index].name = uniqueNode("\(original.name)/\(index)")
    }
    return parts
  }

  /// What moves the outermost channels to the batch: 0 copies an extent of the input.
  private func folded(_ channels: Int) -> IntegerVector {
    .init(
      .extents,
      isLinear
        ? Array(repeating: 0, count: knownRank - 1) + [-1, channels]
        : [-1, channels] + Array(repeating: 0, count: knownRank - 2))
  }

  private func unfolded(_ channels: Int) -> IntegerVector {
    .init(
      .extents,
      isLinear
        ? Array(repeating: 0, count: knownRank - 1) + [channels]
        : [-1, channels] + Array(repeating: 0, count: knownRank - 2))
  }

  /// For every channel of the result its place in the input.
  private static func places(_ axes: [Int], _ order: [Int]) -> [Int] {
    let strides = Tensor<Float>.strides(of: axes)
    return order.reduce([0]) { places, axis in
      places.flatMap { place in (0..<axes[axis]).map { place + $0 * strides[axis] } }
    }
  }
}

extension Stage {
  /// Whether operators for it may read integers.
  fileprivate var mayNeedVectors: Bool {
    switch self {
    case .convolution(let convolution): convolution.batch > 1
    case .permutation: true
    // Behind a shared weight or a permutation, which are looked at themselves, or alone.
    case .bias: false
    }
  }
}

extension Convolution {
  /// As the Conv operator wants them; what is usual is left out.
  fileprivate var attributes: [Onnx_AttributeProto] {
    var result: [Onnx_AttributeProto] = []
    if window.dilation.contains(where: { $0 > 1 }) { result.append(.ints("dilations", window.dilation)) }
    if groups > 1 { result.append(.int("group", groups)) }
    switch window.padding {
    case .valid, .causal: break
    case .same: result.append(.text("auto_pad", "SAME_UPPER"))
    case .sameLower: result.append(.text("auto_pad", "SAME_LOWER"))
    case .explicit(let before, let after): result.append(.ints("pads", before + after))
    }
    if window.stride.contains(where: { $0 > 1 }) { result.append(.ints("strides", window.stride)) }
    if let amounts = transposition?.outputPadding, amounts.contains(where: { $0 > 0 }) {
      result.append(.ints("output_padding", amounts))
    }
    return result
  }
}

extension Onnx_AttributeProto {
  static func int(_ name: String, _ value: Int) -> Self {
    var attribute = Self()
    (attribute.name, attribute.type, attribute.i) = (name, .int, Int64(value))
    return attribute
  }

  fileprivate static func ints(_ name: String, _ values: [Int]) -> Self {
    var attribute = Self()
    (attribute.name, attribute.type, attribute.ints) = (name, .ints, values.map(Int64.init))
    return attribute
  }

  fileprivate static func text(_ name: String, _ value: String) -> Self {
    var attribute = Self()
    (attribute.name, attribute.type) = (name, .string)
    attribute.s = .init(value.utf8)
    return attribute
  }
}
