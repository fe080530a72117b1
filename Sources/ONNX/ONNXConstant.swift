import ModelGraph
import ONNXProto
import TensorCore

/// A value that follows from the model's tensors alone: a tensor, as it is or in another arrangement.
struct ONNXConstant: Sendable {
  /// How the value is read. The tensor is one that the file holds, or one that nodes compute from such tensors.
  let reference: TensorReference
  let shape: [Int]
  /// The type in which the graph computes with the value, whatever the file stores.
  let type: DType

  /// The value under another shape of as many elements.
  func reshaped(_ shape: [Int]) -> ONNXConstant {
    ONNXConstant(
      reference: TensorReference(reference.name, permutation: reference.permutation, shape: shape), shape: shape,
      type: type)
  }

  /// The value with its axes in another order; nil where a reference cannot say that, behind a reshaping.
  func transposed(_ order: [Int]) -> ONNXConstant? {
    guard reference.shape == nil, order.sorted() == Array(shape.indices) else { return nil }
    let permutation = order.map { reference.permutation?[$0] ?? $0 }
    return ONNXConstant(
      reference: TensorReference(
        reference.name, permutation: permutation == Array(shape.indices) ? nil : permutation),
      shape: order.map { shape[$0] }, type: type)
  }

  /// What ONNX calls the type.
  var kind: Onnx_TensorProto.DataType? { Onnx_TensorProto.DataType(rawValue: Int(Onnx_TensorProto.dataType(type))) }

  /// The value in another type.
  func typed(_ type: DType) -> ONNXConstant { ONNXConstant(reference: reference, shape: shape, type: type) }
}

extension TensorReference {
  /// Whether the tensor is read as it is.
  var isPlain: Bool { permutation == nil && shape == nil }
}

extension StoredTensor {
  /// Numbers as a tensor of any type that ONNX models compute in; nil where one of them is none of the type.
  init?(name: String, shape: [Int], _ values: [Double], as dtype: DType) {
    func integers<Element: FixedWidthInteger>(_: Element.Type) -> [UInt8]? {
      var bytes: [UInt8] = []
      for value in values {
        guard let exact = Element(exactly: value) ?? Element.limit(beyond: value) else { return nil }
        for index in 0..<Element.bitWidth / 8 { bytes.append(UInt8(truncatingIfNeeded: exact >> (index * 8))) }
      }
      return bytes
    }
    let bytes: [UInt8]?
    switch dtype {
    case .f64, .f32, .f16, .bf16:
      bytes = StoredTensor(name: name, Tensor(shape: shape, elements: values), as: dtype).bytes
    case .i64: bytes = integers(Int64.self)
    case .i32: bytes = integers(Int32.self)
    case .i16: bytes = integers(Int16.self)
    case .i8: bytes = integers(Int8.self)
    case .u64: bytes = integers(UInt64.self)
    case .u32: bytes = integers(UInt32.self)
    case .u16: bytes = integers(UInt16.self)
    case .u8: bytes = integers(UInt8.self)
    case .bool: bytes = values.map { $0 == 0 ? 0 : 1 }
    case .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz, .c64: bytes = nil
    }
    guard let bytes, dtype.byteCount(of: shape) == bytes.count else { return nil }
    self.init(name: name, dtype: dtype, shape: shape, bytes: bytes)
  }
}

extension FixedWidthInteger {
  /// The largest integer for what no double tells from it: 64-bit ones stand for "to the end".
  fileprivate static func limit(beyond value: Double) -> Self? { bitWidth == 64 && value == 0x1p63 ? .max : nil }
}
