import Basics
import TensorCore

/// Reads the central directory of a ZIP archive from its end.
struct ZipDirectoryReader {
  /// No data file of this program comes near it.
  static let maximumMemberCount = 1 << 32
  /// What deflate can reach at most, so that a claimed size bounds nothing less than the data does.
  static let maximumRatio = 1032

  let bytes: [UInt8]
  private(set) var directoryOffset = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func members() throws -> [ZipArchive.Member] {
    let end = try endRecordOffset()
    var count = try integer(UInt16.self, at: end + 10)
    var length = try integer(UInt32.self, at: end + 12)
    var offset = try integer(UInt32.self, at: end + 16)
    var limit = end
    let isExtended = count == 0xFFFF || length == 0xFFFF_FFFF || offset == 0xFFFF_FFFF
    if isExtended, let record = try extendedRecordOffset(before: end) {
      count = try integer(UInt64.self, at: record + 32)
      length = try integer(UInt64.self, at: record + 40)
      offset = try integer(UInt64.self, at: record + 48)
      limit = record
    }
    guard offset <= limit, length <= limit - offset else {
      throw damaged("its directory lies outside the file")
    }
    // A directory entry has at least 46 bytes.
    guard count <= length / 46 else {
      throw damaged("it claims \(count) members, more than its directory has room for")
    }
    directoryOffset = offset
    var members: [ZipArchive.Member] = []
    var names: Set<String> = []
    var position = offset
    for _ in 0..<count {
      let (member, next) = try entry(at: position, end: offset + length)
      guard names.insert(member.name).inserted else {
        throw damaged("it has two members named '\(member.name)'")
      }
      members.append(member)
      position = next
    }
    return members
  }

  /// Searched from the end, because a comment of up to 65535 bytes may follow.
  private func endRecordOffset() throws -> Int {
    var offset = bytes.count - 22
    while offset >= 0, offset >= bytes.count - 22 - 0xFFFF {
      if bytes.littleEndian(UInt32.self, at: offset) == 0x0605_4B50,
        Int(bytes.littleEndian(UInt16.self, at: offset + 20)) == bytes.count - 22 - offset
      {
        return offset
      }
      offset -= 1
    }
    throw damaged("it has no directory at its end", remedy: "the file may be truncated")
  }

  /// The ZIP64 end record, found through its locator right before the plain one.
  private func extendedRecordOffset(before end: Int) throws -> Int? {
    let locator = end - 20
    guard locator >= 0, bytes.littleEndian(UInt32.self, at: locator) == 0x0706_4B50 else {
      return nil
    }
    let record = try integer(UInt64.self, at: locator + 8)
    guard record <= locator - 56, bytes.littleEndian(UInt32.self, at: record) == 0x0606_4B50 else {
      throw damaged("its ZIP64 record is not where its locator says")
    }
    return record
  }

  private func entry(at offset: Int, end: Int) throws -> (ZipArchive.Member, next: Int) {
    guard offset <= end - 46, bytes.littleEndian(UInt32.self, at: offset) == 0x0201_4B50 else {
      throw damaged("its directory is cut short")
    }
    let nameEnd = offset + 46 + Int(bytes.littleEndian(UInt16.self, at: offset + 28))
    let extraEnd = nameEnd + Int(bytes.littleEndian(UInt16.self, at: offset + 30))
    let next = extraEnd + Int(bytes.littleEndian(UInt16.self, at: offset + 32))
    guard next <= end else { throw damaged("its directory is cut short") }
    let name = String(decoding: bytes[offset + 46..<nameEnd], as: UTF8.self)
    let flags = bytes.littleEndian(UInt16.self, at: offset + 8)
    guard flags & 1 == 0 else {
      throw Failure("member '\(name)'", "cannot be read", "it is encrypted")
    }
    let method = bytes.littleEndian(UInt16.self, at: offset + 10)
    guard method == 0 || method == 8 else {
      throw Failure(
        "member '\(name)'", "cannot be read", "its compression method is \(method)",
        remedy: "expected 0 (stored) or 8 (deflated)")
    }
    var extra = ZipExtraSizes(bytes: bytes[nameEnd..<extraEnd])
    let count = try extra.resolve(bytes.littleEndian(UInt32.self, at: offset + 24), name)
    let compressedCount = try extra.resolve(bytes.littleEndian(UInt32.self, at: offset + 20), name)
    let headerOffset = try extra.resolve(bytes.littleEndian(UInt32.self, at: offset + 42), name)
    let isDeflated = method == 8
    guard compressedCount <= directoryOffset, headerOffset <= directoryOffset,
      isDeflated
        ? count / Self.maximumRatio <= compressedCount && count <= Self.maximumMemberCount
        : count == compressedCount
    else {
      throw Failure(
        "member '\(name)'", "is damaged",
        "it claims \(count) bytes from \(compressedCount) stored ones")
    }
    let member = ZipArchive.Member(
      name: name, isDeflated: isDeflated, compressedCount: compressedCount, count: count,
      crc: bytes.littleEndian(UInt32.self, at: offset + 16), headerOffset: headerOffset)
    return (member, next)
  }

  private func integer<Raw: FixedWidthInteger & UnsignedInteger>(
    _: Raw.Type, at offset: Int
  ) throws -> Int {
    guard let value = Int(exactly: bytes.littleEndian(Raw.self, at: offset)) else {
      throw damaged("it has a number of more than 63 bits")
    }
    return value
  }

  private func damaged(_ reason: String, remedy: String? = nil) -> Failure {
    Failure("archive", "is damaged", reason, remedy: remedy)
  }
}

/// The 64-bit values of a directory entry: the extra field 1 has, in a fixed order, those whose 32-bit field is all ones.
private struct ZipExtraSizes {
  private var rest: ArraySlice<UInt8> = []

  init(bytes: ArraySlice<UInt8>) {
    var fields = bytes
    while fields.count >= 4 {
      let words = Array(fields.prefix(4))
      let length = Int(words.littleEndian(UInt16.self, at: 2))
      let content = fields.dropFirst(4)
      guard length <= content.count else { return }
      if words.littleEndian(UInt16.self, at: 0) == 1 {
        rest = content.prefix(length)
        return
      }
      fields = content.dropFirst(length)
    }
  }

  mutating func resolve(_ value: UInt32, _ name: String) throws -> Int {
    guard value == .max else { return Int(value) }
    let wide = Array(rest.prefix(8))
    rest = rest.dropFirst(8)
    guard wide.count == 8, let value = Int(exactly: wide.littleEndian(UInt64.self, at: 0)) else {
      throw Failure("member '\(name)'", "is damaged", "its ZIP64 sizes are missing or too large")
    }
    return value
  }
}
