import Basics

/// A tensor as a file holds it: name, element type, shape and little-endian row-major bytes.
public struct StoredTensor: Sendable, Equatable {
  public let name: String
  public let dtype: DType
  public let shape: [Int]
  public let bytes: [UInt8]

  /// - Precondition: `bytes` has the count that `dtype` and `shape` give.
  public init(name: String, dtype: DType, shape: [Int], bytes: [UInt8]) {
    precondition(
      dtype.byteCount(of: shape) == bytes.count,
      "\(bytes.count) bytes do not hold \(dtype.rawValue) of \(shape)")
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.bytes = bytes
  }

  /// Stores a tensor in one of the compressible types, rounded to nearest, ties to even.
  ///
  /// - Precondition: `dtype.isCompressible`.
  public init<Scalar>(name: String, _ tensor: Tensor<Scalar>, as dtype: DType) {
    precondition(dtype.isCompressible, "tensors are written as F16, BF16, F32 or F64 only")
    var bytes: [UInt8] = []
    bytes.reserveCapacity(tensor.count * dtype.bits / 8)
    for element in tensor.elements {
      switch dtype {
      case .f64: bytes.appendLittleEndian(Double(element).bitPattern)
      case .f32: bytes.appendLittleEndian(Float(element).bitPattern)
      case .f16: bytes.appendLittleEndian(Float16(element).bitPattern)
      default: bytes.appendLittleEndian(BFloat16.bitPattern(Float(element)))
      }
    }
    self.init(name: name, dtype: dtype, shape: tensor.shape, bytes: bytes)
  }

  /// The elements as numbers. Integers and booleans convert by value.
  ///
  /// - Throws: `Failure` for the types that have no plain numeric reading (FP8 and smaller, complex).
  public func decoded<Scalar: TensorScalar>(as _: Scalar.Type = Scalar.self) throws -> Tensor<Scalar> {
    func read<Raw: FixedWidthInteger & UnsignedInteger>(
      _: Raw.Type, _ convert: (Raw) -> Scalar
    ) -> [Scalar] {
      let width = MemoryLayout<Raw>.size
      return (0..<bytes.count / width).map { convert(bytes.littleEndian(Raw.self, at: $0 * width)) }
    }
    let elements: [Scalar]
    switch dtype {
    case .f64: elements = read(UInt64.self) { Scalar(Double(bitPattern: $0)) }
    case .f32: elements = read(UInt32.self) { Scalar(Float(bitPattern: $0)) }
    case .f16: elements = read(UInt16.self) { Scalar(Float16(bitPattern: $0)) }
    case .bf16: elements = read(UInt16.self) { Scalar(Float(bitPattern: UInt32($0) << 16)) }
    case .i64: elements = read(UInt64.self) { Scalar(Int64(bitPattern: $0)) }
    case .u64: elements = read(UInt64.self) { Scalar($0) }
    case .i32: elements = read(UInt32.self) { Scalar(Int32(bitPattern: $0)) }
    case .u32: elements = read(UInt32.self) { Scalar($0) }
    case .i16: elements = read(UInt16.self) { Scalar(Int16(bitPattern: $0)) }
    case .u16: elements = read(UInt16.self) { Scalar($0) }
    case .i8: elements = read(UInt8.self) { Scalar(Int8(bitPattern: $0)) }
    case .u8: elements = read(UInt8.self) { Scalar($0) }
    case .bool: elements = read(UInt8.self) { $0 == 0 ? 0 : 1 }
    default:
      throw Failure(
        "tensor '\(name)'", "cannot be read as numbers", "its dtype is \(dtype.rawValue)",
        remedy: "expected F16, BF16, F32, F64, an integer type or BOOL")
    }
    return Tensor(shape: shape, elements: elements)
  }
}

/// BF16 as the upper half of a Float; Swift has no such type.
enum BFloat16 {
  /// Rounds to nearest, ties to even; a NaN stays a quiet NaN.
  static func bitPattern(_ value: Float) -> UInt16 {
    if value.isNaN { return UInt16(value.bitPattern >> 16) | 0x0040 }
    let bits = value.bitPattern
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
  }
}

extension Array where Element == UInt8 {
  public mutating func appendLittleEndian<Raw: FixedWidthInteger>(_ value: Raw) {
    var rest = value
    for _ in 0..<Raw.bitWidth / 8 {
      append(UInt8(truncatingIfNeeded: rest))
      rest >>= 8
    }
  }

  /// The little-endian integer that begins at `offset`.
  @inlinable public func littleEndian<Raw: FixedWidthInteger & UnsignedInteger>(
    _: Raw.Type, at offset: Int
  ) -> Raw {
    var value: Raw = 0
    for i in 0..<Raw.bitWidth / 8 { value |= Raw(truncatingIfNeeded: self[offset + i]) << (8 * i) }
    return value
  }
}
