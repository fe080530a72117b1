import ModelGraph
import ONNXProto
import TensorCore

/// The element type that ONNX gives every value of a graph, inferred node by node.
///
/// The engine computes everything in single precision. The types say where ONNX means something else by the same operator: whole
/// numbers divide towards zero, and those of few bits wrap. Whole numbers are exact up to 2^24.
struct ONNXElementTypes {
  typealias Kind = Onnx_TensorProto.DataType

  private let model: ONNXModel
  private var kinds: [String: Kind] = [:]

  init(_ model: ONNXModel) {
    self.model = model
    let graph = model.proto.graph
    for input in graph.input { kinds[input.name] = Kind(rawValue: Int(input.type.tensorType.elemType)) }
    for tensor in graph.initializer { kinds[tensor.name] = Kind(rawValue: Int(tensor.dataType)) }
  }

  /// The type of a value; nil where it does not follow from the operators.
  subscript(value: String) -> Kind? {
    kinds[value]
      ?? model.constant(named: value)?.kind
  }

  /// Whether a value holds whole numbers.
  func isInteger(_ value: String) -> Bool { self[value]?.isInteger ?? false }

  /// Infers the types of a node's outputs from those of its inputs.
  mutating func infer(_ node: ONNXNode) {
    for (index, output) in node.proto.output.enumerated() where !output.isEmpty {
      if let kind = Self.kind(ofOutput: index, of: node, from: { self[$0] }) { kinds[output] = kind }
    }
  }

  /// The type of one of a node's outputs; nil where it does not follow from the types of its inputs.
  static func kind(ofOutput index: Int, of node: ONNXNode, from known: (String) -> Kind?) -> Kind? {
    func input(_ index: Int) -> Kind? { node.input(index).flatMap(known) }
    func attribute(_ key: String) -> Kind? {
      node.proto.attribute(named: key).flatMap { Kind(rawValue: Int($0.i)) }
    }
    switch node.proto.opType {
    case "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Xor", "Not", "IsNaN", "IsInf":
      return .bool
    case "Shape", "Size", "ArgMax", "ArgMin", "NonZero": return .int64
    case "TopK", "MaxPool": return index == 1 ? .int64 : input(0)
    case "Dropout": return index == 1 ? .bool : input(0)
    case "Cast": return attribute("to")
    case "CastLike": return input(1)
    case "Where": return input(1) ?? input(2)
    case "OneHot": return input(2)
    case "EyeLike", "Bernoulli": return attribute("dtype") ?? input(0)
    case "ConstantOfShape":
      return node.proto.attribute(named: "value").flatMap { Kind(rawValue: Int($0.t.dataType)) } ?? .float
    case "Constant":
      guard let value = node.proto.attribute.first else { return nil }
      switch value.name {
      case "value": return Kind(rawValue: Int(value.t.dataType))
      case "value_int", "value_ints": return .int64
      case "value_float", "value_floats": return .float
      default: return nil
      }
    case "QuantizeLinear":
      return input(2) ?? attribute("output_dtype").flatMap { $0 == .undefined ? nil : $0 } ?? .uint8
    case "DequantizeLinear": return attribute("output_dtype").flatMap { $0 == .undefined ? nil : $0 } ?? input(1)
    case "DynamicQuantizeLinear": return index == 1 ? .float : .uint8
    case "MatMulInteger", "ConvInteger": return .int32
    case "QLinearMatMul", "QLinearConv": return input(7)
    case "Loop", "If", "Scan": return nil
    default: return input(0)
    }
  }
}

extension Onnx_TensorProto.DataType {
  /// The bits of a whole number and whether it is signed; nil for all other types.
  var integer: (bits: Int, isSigned: Bool)? {
    switch self {
    case .int2: (2, true)
    case .uint2: (2, false)
    case .int4: (4, true)
    case .uint4: (4, false)
    case .int8: (8, true)
    case .uint8: (8, false)
    case .int16: (16, true)
    case .uint16: (16, false)
    case .int32: (32, true)
    case .uint32: (32, false)
    case .int64: (64, true)
    case .uint64: (64, false)
    case .undefined, .float, .string, .bool, .float16, .double, .complex64, .complex128, .bfloat16, .float8E4M3Fn,
      .float8E4M3Fnuz, .float8E5M2, .float8E5M2Fnuz, .float4E2M1, .float8E8M0, .float6E2M3, .float6E3M2:
      nil
    }
  }

  var isInteger: Bool { integer != nil }

  /// Whether single precision, or more, stands for it: its values are rounded less here than by ONNX.
  var isFloatingPoint: Bool { [.float, .double, .float16, .bfloat16].contains(self) }

  /// What brings a whole number back to the type's range; nil for types that are too large for single precision to tell.
  var wrap: ElementFunction? {
    integer.flatMap { $0.bits <= 16 ? .wrap(bits: $0.bits, isSigned: $0.isSigned) : nil }
  }

  /// The smallest and the largest whole number, of truths 0 and 1; nil for all other types.
  var range: ClosedRange<Double>? {
    self == .bool
      ? 0...1
      : integer.map { bits, isSigned in
        let count = Double(sign: .plus, exponent: isSigned ? bits - 1 : bits, significand: 1)
        return isSigned ? -count...count - 1 : 0...count - 1
      }
  }
}
