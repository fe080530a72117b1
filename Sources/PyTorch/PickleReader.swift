import Basics
import TensorCore

/// The bytes of a pickle, one after the other.
struct PickleReader: Sendable {
  let bytes: ArraySlice<UInt8>
  /// The index of the next byte.
  var position: Int

  /// The next byte.
  mutating func byte() throws -> UInt8 {
    guard position < bytes.endIndex else { throw Self.isTruncated }
    defer { position += 1 }
    return bytes[position]
  }

  /// A little-endian number of `width` bytes.
  mutating func number(_ width: Int) throws -> UInt64 {
    try take(UInt64(width)).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// A signed little-endian number of four bytes.
  mutating func int32() throws -> Int { Int(Int32(truncatingIfNeeded: try number(4))) }

  /// The next `count` bytes.
  mutating func take(_ count: UInt64) throws -> ArraySlice<UInt8> {
    guard let count = Int(exactly: count), count <= bytes.endIndex - position else { throw Self.isTruncated }
    defer { position += count }
    return bytes[position..<position + count]
  }

  /// The bytes up to the next line feed, which is skipped.
  mutating func line() throws -> String {
    guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else { throw Self.isTruncated }
    defer { position = end + 1 }
    return String(decoding: bytes[position..<end], as: UTF8.self)
  }

  static let isTruncated = Failure("its pickle", "is damaged", "it ends too early")

  static func damaged(_ reason: String) -> Failure { Failure("its pickle", "is damaged", reason) }
}
