/// The element types of checkpoints, under the names that safetensors gives them.
public enum DType: String, Sendable, CaseIterable {
  case bool = "BOOL"
  case f4 = "F4"
  case f6e2m3 = "F6_E2M3"
  case f6e3m2 = "F6_E3M2"
  case u8 = "U8"
  case i8 = "I8"
  case f8e5m2 = "F8_E5M2"
  case f8e4m3 = "F8_E4M3"
  case f8e8m0 = "F8_E8M0"
  case f8e4m3fnuz = "F8_E4M3FNUZ"
  case f8e5m2fnuz = "F8_E5M2FNUZ"
  case i16 = "I16"
  case u16 = "U16"
  case f16 = "F16"
  case bf16 = "BF16"
  case i32 = "I32"
  case u32 = "U32"
  case f32 = "F32"
  case c64 = "C64"
  case f64 = "F64"
  case i64 = "I64"
  case u64 = "U64"

  /// The size of one element in bits.
  public var bits: Int {
    switch self {
    case .f4: 4
    case .f6e2m3, .f6e3m2: 6
    case .bool, .u8, .i8, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz: 8
    case .i16, .u16, .f16, .bf16: 16
    case .i32, .u32, .f32: 32
    case .c64, .f64, .i64, .u64: 64
    }
  }

  /// Whether kernels of this type can be compressed: the four float types that convert without a table.
  public var isCompressible: Bool {
    switch self {
    case .f16, .bf16, .f32, .f64: true
    case .bool, .f4, .f6e2m3, .f6e3m2, .u8, .i8, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz, .i16, .u16, .i32,
      .u32, .c64, .i64, .u64:
      false
    }
  }

  /// The most that rounding to the type changes a number by, relative to it; 0 for types that hold no rounded numbers.
  public var unitRoundoff: Double {
    switch self {
    case .bf16: 0x1p-8
    case .f16: 0x1p-11
    case .f32, .c64: 0x1p-24
    case .f64: 0x1p-53
    case .f4, .f6e2m3: 0x1p-2
    case .f6e3m2, .f8e5m2, .f8e5m2fnuz: 0x1p-3
    case .f8e4m3, .f8e4m3fnuz: 0x1p-4
    case .bool, .u8, .i8, .f8e8m0, .i16, .u16, .i32, .u32, .i64, .u64: 0
    }
  }

  /// Whether a user may ask for numbers to be stored in this type.
  package var isChoosable: Bool {
    switch self {
    case .f16, .bf16, .f32: true
    case .bool, .f4, .f6e2m3, .f6e3m2, .u8, .i8, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz, .i16, .u16, .i32,
      .u32, .c64, .f64, .i64, .u64:
      false
    }
  }

  /// The types that a user may ask for, in options and in plans.
  package static let choosable = allCases.filter(\.isChoosable)

  /// The type's name as options, plans and device profiles state it: `bf16`.
  package var optionName: String { rawValue.lowercased() }

  /// The bytes that a tensor of this shape occupies, or nil when the shape is negative, the product overflows or
  /// sub-byte elements do not fill whole bytes.
  public func byteCount(of shape: [Int]) -> Int? {
    var count = 1
    for extent in shape {
      guard extent >= 0 else { return nil }
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow else { return nil }
      count = product
    }
    let (total, overflow) = count.multipliedReportingOverflow(by: bits)
    return overflow || total % 8 != 0 ? nil : total / 8
  }
}
