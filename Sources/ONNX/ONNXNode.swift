import Basics
import ModelGraph
import ONNXProto
import TensorCore

/// A node of an ONNX graph with what its conversion asks for.
struct ONNXNode {
  let proto: Onnx_NodeProto
  let opset: Int
  let model: ONNXModel

  /// For messages: the node's own name, else that of its first output.
  var name: String { proto.name.isEmpty ? proto.output.first ?? proto.opType : proto.name }

  func failure(_ reason: String, _ remedy: String? = nil) -> Failure {
    Failure("node '\(name)'", "cannot be read", reason, remedy: remedy)
  }

  func int(_ key: String, default fallback: Int) -> Int {
    proto.attribute(named: key).map { Int($0.i) } ?? fallback
  }

  func ints(_ key: String) -> [Int]? { proto.attribute(named: key).map { $0.ints.map { Int($0) } } }

  func float(_ key: String, default fallback: Double) -> Double {
    proto.attribute(named: key).map { Double($0.f) } ?? fallback
  }

  func floats(_ key: String) -> [Double]? { proto.attribute(named: key).map { $0.floats.map { Double($0) } } }

  func text(_ key: String, default fallback: String) -> String {
    proto.attribute(named: key).map { String(decoding: $0.s, as: UTF8.self) } ?? fallback
  }

  func texts(_ key: String) -> [String]? {
    proto.attribute(named: key).map { $0.strings.map { String(decoding: $0, as: UTF8.self) } }
  }

  /// The name of an input; nil for one that is left out.
  func input(_ index: Int) -> String? {
    guard proto.input.indices.contains(index), !proto.input[index].isEmpty else { return nil }
    return proto.input[index]
  }

  /// - Throws: `Failure` where it is left out.
  func requiredInput(_ index: Int) throws -> String {
    guard let name = input(index) else { throw failure("it has no input \(index)") }
    return name
  }

  /// An input that follows from the model's tensors; nil where it is left out or computed from the network's inputs.
  func constant(_ index: Int) -> ONNXConstant? { input(index).flatMap(model.constant(named:)) }

  /// How such an input is read as a vector; nil likewise.
  func vector(_ index: Int) -> TensorReference? {
    constant(index).map { constant in
      constant.shape.count == 1 ? constant.reference : constant.reshaped([constant.shape.reduce(1, *)]).reference
    }
  }

  /// The same as a tensor.
  func tensor(_ index: Int) -> StoredTensor? { input(index).flatMap(model.tensor(named:)) }

  /// The same as numbers.
  func numbers(_ index: Int) throws -> [Double]? {
    try tensor(index).map { try $0.decoded(as: Double.self).elements }
  }

  /// The same as one number.
  func number(_ index: Int) throws -> Double? { try numbers(index)?.first }

  /// What stands in an input in newer versions of the operator and in an attribute in older ones.
  func parameter(_ index: Int, orAttribute key: String) throws -> [Int]? {
    if let attribute = ints(key) { return attribute }
    return try numbers(index)?.map { number in Int(clampingTruncated: number) ?? 0 }
  }

  /// How the window of a convolution or pooling over so many axes moves.
  func window(_ order: Int) throws -> Window {
    func extents(_ key: String) throws -> [Int] {
      let values = ints(key) ?? Array(repeating: 1, count: order)
      guard values.count == order else { throw failure("\(key) \(values)", "expected \(order) numbers") }
      return values
    }
    let padding: Padding
    switch text("auto_pad", default: "NOTSET") {
    case "SAME_UPPER": padding = .same
    case "SAME_LOWER": padding = .sameLower
    case "VALID": padding = .valid
    default:
      let pads = ints("pads") ?? Array(repeating: 0, count: 2 * order)
      guard pads.count == 2 * order else { throw failure("pads \(pads)", "expected \(2 * order) numbers") }
      padding =
        pads.allSatisfy { $0 == 0 }
        ? .valid : .explicit(before: Array(pads[..<order]), after: Array(pads[order...]))
    }
    return Window(stride: try extents("strides"), dilation: try extents("dilations"), padding: padding)
  }
}

extension Window {
  /// The window with every border stated, be it none, as a transposed convolution of ONNX has them.
  var withStatedBorders: Window {
    guard padding == .valid else { return self }
    let none = stride.map { _ in 0 }
    return Window(stride: stride, dilation: dilation, padding: .explicit(before: none, after: none))
  }
}
