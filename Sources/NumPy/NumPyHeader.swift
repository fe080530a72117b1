import Basics
import TensorCore

/// The header of a `.npy` array: a Python dictionary with `descr`, `fortran_order` and `shape`.
struct NumPyHeader: Equatable {
  let dtype: DType
  let isBigEndian: Bool
  let isFortranOrder: Bool
  let shape: [Int]

  /// - Throws: `Failure` with the subject `array`, for the caller to add its name and the path.
  init(parsing text: ArraySlice<UInt8>) throws {
    var scanner = PythonScanner(rest: text)
    var description: String?
    var fortranOrder: Bool?
    var shape: [Int]?
    try scanner.expect("{")
    while !scanner.take("}") {
      let key = try scanner.string()
      try scanner.expect(":")
      switch key {
      case "descr" where description == nil: description = try scanner.description()
      case "fortran_order" where fortranOrder == nil: fortranOrder = try scanner.bool()
      case "shape" where shape == nil: shape = try scanner.tuple()
      default: throw scanner.failure("the key '\(key)' is unknown or occurs twice")
      }
      if !scanner.take(",") {
        try scanner.expect("}")
        break
      }
    }
    try scanner.expectEnd()
    guard let description, let fortranOrder, let shape else {
      throw scanner.failure("'descr', 'fortran_order' or 'shape' is missing")
    }
    (dtype, isBigEndian) = try Self.dtype(description)
    isFortranOrder = fortranOrder
    self.shape = shape
  }

  /// NumPy's name of a type, little-endian; nil where NumPy has no such type.
  static func description(_ dtype: DType) -> String? {
    switch dtype {
    case .bool: "|b1"
    case .u8: "|u1"
    case .i8: "|i1"
    case .u16: "<u2"
    case .i16: "<i2"
    case .u32: "<u4"
    case .i32: "<i4"
    case .u64: "<u8"
    case .i64: "<i8"
    case .f16: "<f2"
    case .f32: "<f4"
    case .f64: "<f8"
    case .bf16, .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz, .c64: nil
    }
  }

  private static func dtype(_ description: String) throws -> (DType, isBigEndian: Bool) {
    let order = description.first.flatMap { "<>|=".contains($0) ? $0 : nil }
    let type = order == nil ? description : String(description.dropFirst())
    if type.hasPrefix("O") {
      throw Failure(
        "array", "is not read", "it holds pickled Python objects, which may run code",
        remedy: "store plain numbers")
    }
    let wanted = type == "?" ? "b1" : type
    guard let dtype = DType.allCases.first(where: { Self.description($0)?.dropFirst() == wanted[...] }) else {
      throw Failure(
        "array", "cannot be read", "its type '\(description)' is not supported",
        remedy: "expected a boolean, an integer or a float of 2, 4 or 8 bytes")
    }
    return (dtype, order == ">")
  }
}

/// Reads the few forms of Python literals that the header is made of. Nothing is evaluated.
private struct PythonScanner {
  var rest: ArraySlice<UInt8>

  func failure(_ reason: String) -> Failure { Failure("array", "has an invalid header", reason) }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    rest = rest.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
    guard rest.first == UInt8(ascii: character) else { return false }
    rest.removeFirst()
    return true
  }

  mutating func expect(_ character: Unicode.Scalar) throws {
    guard take(character) else { throw failure("a '\(character)' is missing") }
  }

  mutating func expectEnd() throws {
    rest = rest.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
    guard rest.isEmpty else { throw failure("something follows its '}'") }
  }

  mutating func string() throws -> String {
    let quote: UInt8 = take("'") ? UInt8(ascii: "'") : UInt8(ascii: "\"")
    if quote == UInt8(ascii: "\"") { try expect("\"") }
    let text = rest.prefix { $0 != quote && $0 != UInt8(ascii: "\\") }
    rest = rest.dropFirst(text.count)
    guard rest.first == quote else { throw failure("a string is not closed") }
    rest.removeFirst()
    return String(decoding: text, as: UTF8.self)
  }

  /// A type's name; a list would describe records of several fields.
  mutating func description() throws -> String {
    if take("[") {
      throw Failure(
        "array", "cannot be read", "it holds records of several fields",
        remedy: "store one array for each field")
    }
    return try string()
  }

  mutating func bool() throws -> Bool {
    switch word() {
    case "True": return true
    case "False": return false
    default: throw failure("'fortran_order' is neither True nor False")
    }
  }

  mutating func tuple() throws -> [Int] {
    try expect("(")
    var values: [Int] = []
    while !take(")") {
      guard let value = Int(word()), value >= 0 else {
        throw failure("'shape' is no tuple of whole numbers that are 0 or more")
      }
      values.append(value)
      if !take(",") {
        try expect(")")
        break
      }
    }
    return values
  }

  private mutating func word() -> String {
    rest = rest.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
    let word = rest.prefix { ![0x20, 0x2C, 0x29, 0x7D].contains($0) }
    rest = rest.dropFirst(word.count)
    return String(decoding: word, as: UTF8.self)
  }
}
