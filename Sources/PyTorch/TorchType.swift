import TensorCore

/// The element types of PyTorch, by the names that its files use.
enum TorchType: String, Sendable, CaseIterable {
  case float64, float32, float16, bfloat16
  case uint8, int8, int16, int32, int64, bool
  case uint16, uint32, uint64
  case float8_e5m2, float8_e4m3fn, float8_e8m0fnu, float8_e4m3fnuz, float8_e5m2fnuz
  case complex64, complex128
  case complex32, quint8, qint8, qint32, quint4x2, quint2x4

  /// The size of one element in bytes.
  var byteCount: Int {
    switch self {
    case .uint8, .int8, .bool, .float8_e5m2, .float8_e4m3fn, .float8_e8m0fnu, .float8_e4m3fnuz, .float8_e5m2fnuz,
      .quint8, .qint8, .quint4x2, .quint2x4:
      1
    case .float16, .bfloat16, .int16, .uint16: 2
    case .float32, .int32, .uint32, .complex32, .qint32: 4
    case .float64, .int64, .uint64, .complex64: 8
    case .complex128: 16
    }
  }

  /// The bytes that lie the other way round on a big-endian machine: a complex number is two numbers.
  var wordByteCount: Int {
    switch self {
    case .complex32, .complex64, .complex128: byteCount / 2
    case .float64, .float32, .float16, .bfloat16, .uint8, .int8, .int16, .int32, .int64, .bool, .uint16, .uint32,
      .uint64, .float8_e5m2, .float8_e4m3fn, .float8_e8m0fnu, .float8_e4m3fnuz, .float8_e5m2fnuz, .quint8, .qint8,
      .qint32, .quint4x2, .quint2x4:
      byteCount
    }
  }

  /// The type in a safetensors file; nil where that has none.
  var stored: DType? {
    switch self {
    case .float64: .f64
    case .float32: .f32
    case .float16: .f16
    case .bfloat16: .bf16
    case .uint8: .u8
    case .int8: .i8
    case .int16: .i16
    case .int32: .i32
    case .int64: .i64
    case .bool: .bool
    case .uint16: .u16
    case .uint32: .u32
    case .uint64: .u64
    case .float8_e5m2: .f8e5m2
    case .float8_e4m3fn: .f8e4m3
    case .float8_e8m0fnu: .f8e8m0
    case .float8_e4m3fnuz: .f8e4m3fnuz
    case .float8_e5m2fnuz: .f8e5m2fnuz
    case .complex64: .c64
    case .complex128, .complex32, .quint8, .qint8, .qint32, .quint4x2, .quint2x4: nil
    }
  }

  /// Whether its numbers are floating-point ones.
  var isFloatingPoint: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16, .float8_e5m2, .float8_e4m3fn, .float8_e8m0fnu, .float8_e4m3fnuz,
      .float8_e5m2fnuz:
      true
    case .uint8, .int8, .int16, .int32, .int64, .bool, .uint16, .uint32, .uint64, .complex64, .complex128, .complex32,
      .quint8, .qint8, .qint32, .quint4x2, .quint2x4:
      false
    }
  }

  /// A type as `torch.float32`.
  init?(global name: String) {
    guard name.hasPrefix("torch."), let type = TorchType(rawValue: String(name.dropFirst("torch.".count))) else {
      return nil
    }
    self = type
  }

  /// The type of a storage class, `torch.FloatStorage` or `torch.cuda.FloatStorage`; nil for any other name.
  init?(storageClass name: String) {
    guard let type = Self.storageClasses[name.split(separator: ".").last.map(String.init) ?? ""],
      ["torch.", "torch.cuda.", "torch.storage."].contains(where: { name.hasPrefix($0) })
    else { return nil }
    self = type
  }

  private static let storageClasses: [String: TorchType] = [
    "DoubleStorage": .float64, "FloatStorage": .float32, "HalfStorage": .float16, "BFloat16Storage": .bfloat16,
    "ByteStorage": .uint8, "CharStorage": .int8, "ShortStorage": .int16, "IntStorage": .int32, "LongStorage": .int64,
    "BoolStorage": .bool, "ComplexFloatStorage": .complex64, "ComplexDoubleStorage": .complex128,
    "QUInt8Storage": .quint8, "QInt8Storage": .qint8, "QInt32Storage": .qint32, "QUInt4x2Storage": .quint4x2,
    "QUInt2x4Storage": .quint2x4,
  ]

  /// Whether a name is that of the storages without a type.
  static func isUntyped(_ name: String) -> Bool {
    name == "torch.storage.UntypedStorage" || name == "torch.UntypedStorage"
  }
}
