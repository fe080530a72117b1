import Basics
import Foundation
import ONNXProto
import TensorCore

extension Onnx_TensorProto {
  /// The element type; nil for strings, complex numbers and types of less than a byte, of which no weight consists.
  var storedType: DType? {
    switch DataType(rawValue: Int(dataType)) {
    case .float: .f32
    case .double: .f64
    case .float16: .f16
    case .bfloat16: .bf16
    case .int8: .i8
    case .int16: .i16
    case .int32: .i32
    case .int64: .i64
    case .uint8: .u8
    case .uint16: .u16
    case .uint32: .u32
    case .uint64: .u64
    case .bool: .bool
    default: nil
    }
  }

  static func dataType(_ dtype: DType) -> Int32 {
    let type: DataType =
      switch dtype {
      case .f64: .double
      case .f16: .float16
      case .bf16: .bfloat16
      case .i64: .int64
      case .i32: .int32
      default: .float
      }
    return Int32(type.rawValue)
  }

  /// The tensor with its bytes, wherever the file has them; nil for types that are no numbers.
  ///
  /// - Parameter external: reads a range of a file beside the model.
  /// - Throws: `Failure` that names the tensor where its shape and its data differ.
  func stored(external: (ExternalData) throws -> [UInt8]) throws -> StoredTensor? {
    guard let dtype = storedType else { return nil }
    let subject = "tensor '\(name)'"
    guard dims.allSatisfy({ $0 >= 0 }) else {
      throw Failure(subject, "cannot be read", "its shape \(dims) has a negative extent")
    }
    let shape = dims.map { Int($0) }
    guard let count = dtype.byteCount(of: shape) else {
      throw Failure(subject, "cannot be read", "its shape \(shape) is larger than any memory")
    }
    let bytes =
      dataLocation == .external
      ? try external(try ExternalData(self, byteCount: count)) : hasRawData ? Array(rawData) : typedBytes(dtype)
    guard bytes.count == count else {
      throw Failure(
        subject, "cannot be read", "its shape \(shape) takes \(count) bytes and it has \(bytes.count)",
        remedy: "fetch or export the file again")
    }
    return StoredTensor(name: name, dtype: dtype, shape: shape, bytes: bytes)
  }

  /// From the fields that hold numbers; small types share `int32_data`.
  private func typedBytes(_ dtype: DType) -> [UInt8] {
    switch dtype {
    case .f32: floatData.rawBytes
    case .f64: doubleData.rawBytes
    case .i64: int64Data.rawBytes
    case .u64: uint64Data.rawBytes
    case .u32: uint64Data.map { UInt32(truncatingIfNeeded: $0) }.rawBytes
    case .i32: int32Data.rawBytes
    case .f16, .bf16, .i16, .u16: int32Data.map { UInt16(truncatingIfNeeded: $0) }.rawBytes
    default: int32Data.map { UInt8(truncatingIfNeeded: $0) }
    }
  }

  /// A tensor with its data in the model's own file.
  init(_ tensor: StoredTensor) {
    self.init()
    name = tensor.name
    dims = tensor.shape.map { Int64($0) }
    dataType = Self.dataType(tensor.dtype)
    rawData = Data(tensor.bytes)
  }
}

/// Where a tensor's bytes lie beside the model (ONNX, External Data).
struct ExternalData {
  let tensor: String
  let location: String
  let offset: Int
  let length: Int

  /// - Throws: `Failure` for a path that leads out of the model's folder, and for numbers that are none.
  init(_ proto: Onnx_TensorProto, byteCount: Int) throws {
    tensor = proto.name
    let entries = Dictionary(proto.externalData.map { ($0.key, $0.value) }) { first, _ in first }
    func failure(_ reason: String) -> Failure {
      Failure("tensor '\(proto.name)'", "cannot be read", reason, remedy: "expected a file beside the model")
    }
    guard let location = entries["location"], !location.isEmpty else { throw failure("it names no file for its data") }
    let parts = location.split(separator: "/", omittingEmptySubsequences: false)
    guard !location.hasPrefix("/"), !parts.contains(".."), !location.contains("\\"), !location.contains("\0") else {
      throw failure("its data are said to be in '\(location)', outside of the model's folder")
    }
    func number(_ key: String, _ fallback: Int) throws -> Int {
      guard let text = entries[key] else { return fallback }
      guard let value = Int(text), value >= 0 else { throw failure("its \(key) '\(text)' is no count of bytes") }
      return value
    }
    self.location = location
    offset = try number("offset", 0)
    length = try number("length", byteCount)
  }
}
