import Basics
import Foundation
import ONNXProto
import TensorCore

extension Onnx_TensorProto {
  /// The element type; nil for strings, complex numbers and types of less than a byte, of which no weight consists.
  var storedType: DType? { Self.storedType(dataType) }

  /// The element type of a number that ONNX gives to types; nil likewise.
  static func storedType(_ number: Int32) -> DType? {
    DType.allCases.first { $0.onnx.map { Int32($0.rawValue) } == number }
  }

  /// The number by which ONNX names an element type.
  ///
  /// - Precondition: The type is one of `storedType`.
  static func dataType(_ dtype: DType) -> Int32 {
    guard let type = dtype.onnx else {
      preconditionFailure("no ONNX model gives a tensor of type \(dtype.rawValue)")
    }
    return Int32(type.rawValue)
  }

  /// The tensor with its bytes, wherever the file has them; nil for types that are no numbers.
  ///
  /// - Parameter external: reads a range of a file beside the model.
  /// - Throws: `Failure` that names the tensor where its shape and its data differ.
  func stored(external: (ExternalData) throws -> [UInt8]) throws -> StoredTensor? {
    let isFourBits = FourBits.heldType(self) != nil
    guard let dtype = storedType ?? FourBits.heldType(self) else { return nil }
    let subject = "tensor '\(name)'"
    guard dims.allSatisfy({ $0 >= 0 }) else {
      throw Failure(subject, "cannot be read", "its shape \(dims) has a negative extent")
    }
    let shape = dims.map { Int($0) }
    guard let memory = dtype.byteCount(of: shape) else {
      throw Failure(subject, "cannot be read", "its shape \(shape) is larger than any memory")
    }
    let count = isFourBits ? FourBits.byteCount(memory) : memory
    let bytes =
      dataLocation == .external
      ? try external(try ExternalData(self, byteCount: count)) : hasRawData ? Array(rawData) : typedBytes(dtype)
    guard bytes.count == count else {
      throw Failure(
        subject, "cannot be read", "its shape \(shape) takes \(count) bytes and it has \(bytes.count)",
        remedy: "fetch or export the file again")
    }
    guard !isFourBits else {
      let integers = FourBits.unpacked(bytes, count: memory, isSigned: dtype == .i8)
      return StoredTensor(name: name, dtype: dtype, shape: shape, bytes: integers)
    }
    return StoredTensor(name: name, dtype: dtype, shape: shape, bytes: bytes)
  }

  /// The bytes of a tensor whose numbers stand in typed fields; small types share `int32_data`.
  private func typedBytes(_ dtype: DType) -> [UInt8] {
    switch dtype {
    case .f32: floatData.rawBytes
    case .f64: doubleData.rawBytes
    case .i64: int64Data.rawBytes
    case .u64: uint64Data.rawBytes
    case .u32: uint64Data.map { UInt32(truncatingIfNeeded: $0) }.rawBytes
    case .i32: int32Data.rawBytes
    case .f16, .bf16, .i16, .u16: int32Data.map { UInt16(truncatingIfNeeded: $0) }.rawBytes
    case .i8, .u8, .bool: int32Data.map { UInt8(truncatingIfNeeded: $0) }
    case .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz, .c64:
      preconditionFailure("no ONNX model gives a tensor of type \(dtype.rawValue)")
    }
  }
}

extension Onnx_SparseTensorProto {
  /// The tensor with its zeros; nil for types that are no numbers, and where it would take more than `limit` bytes.
  ///
  /// - Throws: `Failure` that names the tensor where its parts do not fit together.
  func stored(atMost limit: Int) throws -> StoredTensor? {
    guard let some = try values.stored(external: { _ in [] }), let places = try indices.stored(external: { _ in [] })
    else { return nil }
    let subject = "tensor '\(values.name)'"
    let shape = dims.map { Int($0) }
    guard dims.allSatisfy({ $0 >= 0 }), let byteCount = some.dtype.byteCount(of: shape), some.shape.count == 1,
      places.dtype == .i64, places.shape == some.shape || places.shape == some.shape + [shape.count]
    else {
      throw Failure(
        subject, "cannot be read", "\(some.shape) values at \(places.shape) places of a sparse tensor of \(shape)")
    }
    guard byteCount <= limit else { return nil }
    let strides = places.shape.count == 1 ? [1] : Tensor<Float>.strides(of: shape)
    let numbers = try places.decoded(as: Double.self).elements
    let extents = places.shape.count == 1 ? [shape.reduce(1, *)] : shape
    let size = some.dtype.bits / 8
    var bytes = [UInt8](repeating: 0, count: byteCount)
    for index in 0..<some.shape[0] {
      var place = 0
      for axis in extents.indices {
        let number = numbers[index * extents.count + axis]
        guard let coordinate = Int(exactly: number), (0..<extents[axis]).contains(coordinate) else {
          throw Failure(subject, "cannot be read", "place \(number) of a sparse tensor of \(shape)")
        }
        place += coordinate * strides[axis]
      }
      bytes.replaceSubrange(place * size..<(place + 1) * size, with: some.bytes[index * size..<(index + 1) * size])
    }
    return StoredTensor(name: values.name, dtype: some.dtype, shape: shape, bytes: bytes)
  }
}

extension DType {
  /// The element type that ONNX models have for it; nil where no tensor of such a type is read.
  fileprivate var onnx: Onnx_TensorProto.DataType? {
    switch self {
    case .f32: .float
    case .f64: .double
    case .f16: .float16
    case .bf16: .bfloat16
    case .i8: .int8
    case .i16: .int16
    case .i32: .int32
    case .i64: .int64
    case .u8: .uint8
    case .u16: .uint16
    case .u32: .uint32
    case .u64: .uint64
    case .bool: .bool
    case .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz, .c64: nil
    }
  }
}
