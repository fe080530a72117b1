import Basics
import HDF5
import TensorCore

/// A ZIP archive in memory: stored and deflated members, ZIP64 where sizes need it. Every number is checked before it
/// is used, sizes come from the central directory, and contents are proven by their CRC.
///
/// Source: PKWARE, "APPNOTE.TXT - .ZIP File Format Specification", sections 4.3 and 4.5.3.
package struct ZipArchive: Sendable {
  /// A file in the archive.
  package struct Member: Sendable {
    /// The path inside the archive.
    package let name: String
    let isDeflated: Bool
    /// The stored size in bytes.
    let compressedCount: Int
    /// The size of the contents in bytes.
    let count: Int
    let crc: UInt32
    /// Where the member's own header begins.
    let headerOffset: Int
  }

  /// The members in the order of the central directory; names are unique.
  package let members: [Member]
  private let bytes: [UInt8]
  private let directoryOffset: Int

  /// Reads the directory of an archive and checks where its members lie.
  ///
  /// - Throws: `Failure` with the subject `archive` or a member, for the caller to add the path.
  package init(_ bytes: [UInt8]) throws {
    self.bytes = bytes
    var reader = ZipDirectoryReader(bytes: bytes)
    members = try reader.members()
    directoryOffset = reader.directoryOffset
    try checkOverlaps()
  }

  /// The contents of a member.
  ///
  /// - Throws: `Failure` with the member as its subject where its data are damaged.
  package func contents(of member: Member) throws -> [UInt8] { Array(try slice(of: member)) }

  /// The contents of a member, those of a stored one without a copy.
  ///
  /// - Parameter zeroIsNoSum: Whether a CRC of 0 says that the writer computed none.
  /// - Throws: `Failure` with the member as its subject where its data are damaged.
  package func slice(of member: Member, zeroIsNoSum: Bool = false) throws -> ArraySlice<UInt8> {
    let range = try dataRange(of: member)
    let contents =
      member.isDeflated ? try inflateRaw(bytes[range], expectedCount: member.count)[...] : bytes[range]
    guard contents.count == member.count, zeroIsNoSum && member.crc == 0 || crc32(contents) == member.crc else {
      throw Failure("member '\(member.name)'", "is damaged", "its CRC-32 does not match")
    }
    return contents
  }

  /// The member's own header repeats its name and may have other extra fields than the directory.
  private func dataRange(of member: Member) throws -> Range<Int> {
    func failure(_ reason: String) -> Failure {
      Failure("member '\(member.name)'", "is damaged", reason)
    }
    let header = member.headerOffset
    guard header <= directoryOffset - 30,
      bytes.littleEndian(UInt32.self, at: header) == 0x0403_4B50
    else { throw failure("its header is not where the directory says") }
    let nameLength = Int(bytes.littleEndian(UInt16.self, at: header + 26))
    let extraLength = Int(bytes.littleEndian(UInt16.self, at: header + 28))
    let begin = header + 30 + nameLength + extraLength
    guard begin <= directoryOffset, member.compressedCount <= directoryOffset - begin else {
      throw failure("its data does not end before the directory")
    }
    return begin..<begin + member.compressedCount
  }

  /// Members that share data are how a small archive unpacks to petabytes.
  private func checkOverlaps() throws {
    var end = 0
    for member in members.sorted(by: { $0.headerOffset < $1.headerOffset }) {
      guard member.headerOffset >= end else {
        throw Failure("member '\(member.name)'", "is damaged", "it overlaps another member")
      }
      end = try dataRange(of: member).upperBound
    }
  }
}
