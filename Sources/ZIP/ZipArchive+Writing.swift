import Basics
import HDF5
import TensorCore

extension ZipArchive {
  /// An archive of stored members with a fixed date: the same members give the same bytes.
  ///
  /// - Throws: `Failure` when the archive would need ZIP64.
  package static func fileBytes(_ members: [(name: String, contents: [UInt8])]) throws -> [UInt8] {
    var file: [UInt8] = []
    var directory: [UInt8] = []
    for member in members {
      let name = Array(member.name.utf8)
      guard let count = UInt32(exactly: member.contents.count), let offset = UInt32(exactly: file.count),
        let nameLength = UInt16(exactly: name.count)
      else { throw tooLarge }
      // Version 2.0, UTF-8 names, stored, 1 January 1980.
      var common: [UInt8] = []
      for word: UInt16 in [20, 0x0800, 0, 0, 0x0021] { common.appendLittleEndian(word) }
      for number in [crc32(member.contents[...]), count, count] { common.appendLittleEndian(number) }
      common.appendLittleEndian(nameLength)
      common.appendLittleEndian(0 as UInt16)

      directory += [0x50, 0x4B, 0x01, 0x02, 20, 0] + common
      // No comment, first disk, no attributes.
      directory += Array(repeating: 0, count: 10)
      directory.appendLittleEndian(offset)
      directory += name
      file += [0x50, 0x4B, 0x03, 0x04] + common + name + member.contents
    }
    guard let count = UInt16(exactly: members.count), count < .max,
      let length = UInt32(exactly: directory.count), let offset = UInt32(exactly: file.count)
    else { throw tooLarge }
    file += directory + [0x50, 0x4B, 0x05, 0x06, 0, 0, 0, 0]
    file.appendLittleEndian(count)
    file.appendLittleEndian(count)
    file.appendLittleEndian(length)
    file.appendLittleEndian(offset)
    file += [0, 0]
    return file
  }

  /// The size in bytes of an archive of stored members with these names and sizes.
  package static func byteCount(_ members: [(name: String, count: Int)]) -> Int {
    members.reduce(22) { $0 + 30 + 46 + 2 * $1.name.utf8.count + $1.count }
  }

  private static let tooLarge = Failure(
    "archive", "cannot be written", "it would have more than 4 GiB or 65534 members")
}
