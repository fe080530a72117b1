extension JSON {
  /// Parses one document. Hand-written because Foundation's parser drops the order of keys and accepts
  /// duplicates, both of which matter in a checkpoint's header.
  ///
  /// - Parameter bytes: UTF-8; white space may surround the value, nothing else may.
  /// - Throws: `Failure` with the byte offset, its subject left empty for the caller to fill.
  package init(parsing bytes: some Collection<UInt8>) throws {
    var parser = JSONParser(bytes: Array(bytes))
    self = try parser.document()
  }
}

private struct JSONParser {
  /// Deeper documents are refused, so that hostile input cannot exhaust the stack.
  static let maximumDepth = 256

  let bytes: [UInt8]
  var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() throws -> JSON {
    let value = try value(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw failure("something follows the end of the document") }
    return value
  }

  private func failure(_ reason: String) -> Failure {
    Failure("", "is no valid JSON", "\(reason) at byte \(position)")
  }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      position += 1
    }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    skipSpace()
    guard current == byte else { return false }
    position += 1
    return true
  }

  private mutating func value(depth: Int) throws -> JSON {
    guard depth < Self.maximumDepth else { throw failure("values nest too deeply") }
    skipSpace()
    guard let byte = current else { throw failure("the document ends early") }
    switch byte {
    case UInt8(ascii: "{"): return .object(try object(depth: depth))
    case UInt8(ascii: "["): return .array(try array(depth: depth))
    case UInt8(ascii: "\""): return .string(try string())
    default: return try word()
    }
  }

  private mutating func object(depth: Int) throws -> JSONObject {
    position += 1
    var object = JSONObject()
    if take(UInt8(ascii: "}")) { return object }
    repeat {
      skipSpace()
      guard current == UInt8(ascii: "\"") else { throw failure("a key must be a string") }
      let key = try string()
      guard object[key] == nil else { throw failure("the key '\(key)' occurs twice") }
      guard take(UInt8(ascii: ":")) else { throw failure("a colon is missing") }
      object[key] = try value(depth: depth + 1)
    } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "}")) else { throw failure("an object is not closed") }
    return object
  }

  private mutating func array(depth: Int) throws -> [JSON] {
    position += 1
    var array: [JSON] = []
    if take(UInt8(ascii: "]")) { return array }
    repeat { array.append(try value(depth: depth + 1)) } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "]")) else { throw failure("an array is not closed") }
    return array
  }

  /// Literals and numbers: a run of the characters that they are made of.
  private mutating func word() throws -> JSON {
    let start = position
    while let byte = current, Self.isWordByte(byte) { position += 1 }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    switch text {
    case "null": return .null
    case "true": return .bool(true)
    case "false": return .bool(false)
    case "NaN", "Infinity", "-Infinity": return .number(text)
    default:
      guard let first = text.utf8.first, Self.isDigit(first) || first == UInt8(ascii: "-"),
        Double(text) != nil, !text.contains("x"), !text.contains("n")
      else {
        position = start
        throw failure("a value is expected")
      }
      return .number(text)
    }
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
  }

  private static func isWordByte(_ byte: UInt8) -> Bool {
    isDigit(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+")
      || byte == UInt8(ascii: ".") || (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z"))
  }

  private mutating func string() throws -> String {
    position += 1
    var text: [UInt8] = []
    while let byte = current {
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else {
          throw failure("a string is not UTF-8")
        }
        return string
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20: throw failure("a control character stands in a string")
      default: text.append(byte)
      }
    }
    throw failure("a string is not closed")
  }

  private mutating func escape(into text: inout [UInt8]) throws {
    guard let byte = current else { throw failure("a string is not closed") }
    position += 1
    switch byte {
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "u"): text.append(contentsOf: Array(String(try scalar()).utf8))
    default: throw failure("an unknown escape stands in a string")
    }
  }

  /// The scalar after `\u`, a surrogate pair included.
  private mutating func scalar() throws -> Unicode.Scalar {
    let high = try codeUnit()
    if let scalar = Unicode.Scalar(high) { return scalar }
    guard (0xD800..<0xDC00).contains(high), current == UInt8(ascii: "\\") else {
      throw failure("a surrogate stands alone")
    }
    position += 1
    guard current == UInt8(ascii: "u") else { throw failure("a surrogate stands alone") }
    position += 1
    let low = try codeUnit()
    guard (0xDC00..<0xE000).contains(low),
      let scalar = Unicode.Scalar(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    else { throw failure("a surrogate stands alone") }
    return scalar
  }

  private mutating func codeUnit() throws -> UInt32 {
    guard position + 4 <= bytes.count,
      let unit = UInt32(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16)
    else { throw failure("an escape needs four hexadecimal digits") }
    position += 4
    return unit
  }
}
