import Basics
import Checkpoints
import ONNXProto
import TensorCore

/// Weights as integers, and the nodes that make numbers of what is stored.
extension ONNXEdit {
  /// Puts other integers in the place of those of an initialiser.
  ///
  /// - Parameter integers: as many as it has.
  mutating func substitute(_ name: String, integers: [Int8]) {
    guard let index = original.wiring.initializers[name] else { preconditionFailure("'\(name)' is no initialiser") }
    let header = original.proto.graph.initializer[index].bare
    removal.removeMaker(of: name)
    added.append(
      Addition(
        header: header, dtype: .i8,
        byteCount: FourBits.heldType(header) == nil ? integers.count : FourBits.byteCount(integers.count),
        bytes: integers.map { UInt8(bitPattern: $0) }, reading: []))
  }

  /// Adds a weight as integers behind a DequantizeLinear; before version 13 of the operators, whose DequantizeLinear has one scale for all
  /// channels, behind a Cast and a Mul. Runtimes compute either once, when they load the file.
  ///
  /// - Parameters:
  ///   - name: of the value that the graph reads.
  ///   - shape: as the file has it.
  ///   - axis: that of the output channels, of which each has a scale.
  ///   - weight: the integers in the order of the file, and the scales; nil where only the size matters.
  mutating func addRounded(
    _ name: String, shape: [Int], axis: Int, width: BitWidth, _ weight: (integers: [Int8], scales: [Float])?
  ) {
    let isFourBits = width <= .four
    let count = shape.reduce(1, *)
    var integers = Onnx_TensorProto()
    integers.name = uniqueName(name + "/q")
    integers.dims = shape.map(Int64.init)
    integers.dataType = Int32((isFourBits ? Onnx_TensorProto.DataType.int4 : .int8).rawValue)
    let scaleName = uniqueName(name + "/s")
    let reading: [Onnx_NodeProto]
    var scaleShape = [shape[axis]]
    if original.opset < 13 {
      let whole = uniqueName(name + "/f")
      reading = [
        .cast(integers.name, to: .f32, as: whole), .init("Mul", [whole, scaleName], [name]),
      ]
      scaleShape += shape[(axis + 1)...].map { _ in 1 }
    } else {
      reading = [
        .init("DequantizeLinear", [integers.name, scaleName], [name], axis == 1 ? [] : [.int("axis", axis)])
      ]
    }
    let bytes = weight?.integers.map { UInt8(bitPattern: $0) }
    added.append(
      Addition(
        header: integers, dtype: .i8, byteCount: isFourBits ? FourBits.byteCount(count) : count,
        bytes: bytes, reading: reading))
    add(scaleName, shape: scaleShape, dtype: .f32, weight?.scales.rawBytes)
  }
}

extension Onnx_NodeProto {
  /// A node of a stock operator.
  init(
    _ type: String, _ inputs: [String], _ outputs: [String], _ attributes: [Onnx_AttributeProto] = []
  ) {
    self.init()
    (opType, input, output, attribute) = (type, inputs, outputs, attributes)
  }

  static func cast(_ input: String, to type: DType, as output: String) -> Onnx_NodeProto {
    Onnx_NodeProto("Cast", [input], [output], [.int("to", Int(Onnx_TensorProto.dataType(type)))])
  }

  /// Up to version 6 an Add broadcasts where it says so.
  func broadcasting(opset: Int) -> Onnx_NodeProto {
    guard opset < 7, opType == "Add" else { return self }
    var result = self
    result.attribute.append(.int("broadcast", 1))
    return result
  }
}
