import Basics

/// A tensor as a file holds it: name, element type, shape and little-endian row-major bytes.
public struct StoredTensor: Sendable, Equatable {
  /// The name in the file.
  public let name: String
  /// The type of the stored elements.
  public let dtype: DType
  /// The extents of the axes; empty for a single number.
  public let shape: [Int]
  /// The elements, little-endian and row-major.
  public let bytes: [UInt8]

  /// A tensor of these bytes, which are kept as they are.
  ///
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

  /// The same tensor under another name; the bytes are shared.
  public func renamed(_ name: String) -> StoredTensor {
    StoredTensor(name: name, dtype: dtype, shape: shape, bytes: bytes)
  }

  /// Stores a tensor in one of the compressible types, rounded to nearest, ties to even.
  ///
  /// - Precondition: `dtype.isCompressible`.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public init<Scalar>(name: String, _ tensor: Tensor<Scalar>, as dtype: DType) {
    let bytes: [UInt8] =
      switch dtype {
      case .f64: tensor.elements.mapBytes { Double($0) }
      case .f32: tensor.elements.mapBytes { Float($0) }
      case .f16: tensor.elements.mapBytes { Float16($0) }
      case .bf16: tensor.elements.mapBytes { BFloat16.bitPattern(Double($0)) }
      case .bool, .f4, .f6e2m3, .f6e3m2, .u8, .i8, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz, .i16, .u16,
        .i32, .u32, .c64, .i64, .u64:
        preconditionFailure("tensors are written as F16, BF16, F32 or F64 only, not as \(dtype.rawValue)")
      }
    self.init(name: name, dtype: dtype, shape: tensor.shape, bytes: bytes)
  }

  /// The elements as numbers. Integers and booleans convert by value.
  ///
  /// - Throws: `Failure` for the types that have no plain numeric reading (FP8 and smaller, complex).
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public func decoded<Scalar: TensorScalar>(as _: Scalar.Type = Scalar.self) throws -> Tensor<
    Scalar
  > {
    let elements: [Scalar]
    switch dtype {
    case .f64: elements = bytes.mapElements(of: Double.self) { Scalar($0) }
    case .f32: elements = bytes.mapElements(of: Float.self) { Scalar($0) }
    case .f16: elements = bytes.mapElements(of: Float16.self) { Scalar($0) }
    case .bf16: elements = bytes.mapElements(of: UInt16.self) { Scalar(BFloat16.value($0)) }
    case .i64: elements = bytes.mapElements(of: Int64.self) { Scalar($0) }
    case .u64: elements = bytes.mapElements(of: UInt64.self) { Scalar($0) }
    case .i32: elements = bytes.mapElements(of: Int32.self) { Scalar($0) }
    case .u32: elements = bytes.mapElements(of: UInt32.self) { Scalar($0) }
    case .i16: elements = bytes.mapElements(of: Int16.self) { Scalar($0) }
    case .u16: elements = bytes.mapElements(of: UInt16.self) { Scalar($0) }
    case .i8: elements = bytes.map { Scalar(Int8(bitPattern: $0)) }
    case .u8: elements = bytes.map { Scalar($0) }
    case .bool: elements = bytes.map { $0 == 0 ? 0 : 1 }
    case .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz, .c64:
      throw Failure(
        "tensor '\(name)'", "cannot be read as numbers", "its dtype is \(dtype.rawValue)",
        remedy: "expected F16, BF16, F32, F64, an integer type or BOOL")
    }
    return Tensor(shape: shape, elements: elements)
  }
}
