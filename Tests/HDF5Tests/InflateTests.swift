import Basics
import Testing

@testable import HDF5

@Suite struct InflateTests {
  /// A stored block, RFC 1951 section 3.2.4.
  private func stored(_ bytes: [UInt8]) -> [UInt8] {
    let count = UInt16(bytes.count)
    return [1, UInt8(count & 255), UInt8(count >> 8), UInt8(~count & 255), UInt8(~count >> 8)] + bytes
  }

  @Test func inflates() throws {
    #expect(try inflateRaw(stored([1, 2, 3])[...], expectedCount: 3) == [1, 2, 3])
    #expect(try inflateRaw(stored([])[...], expectedCount: 0) == [])
    // Literals and a match of distance 1 in fixed codes, RFC 1951 section 3.2.6.
    #expect(
      try inflateRaw([0x4B, 0x4C, 0x1C, 0xF1, 0x00, 0x00], expectedCount: 259) == Array(repeating: 0x61, count: 259))
  }

  @Test func refusesWhatIsNoStreamOfThisSize() {
    for (bytes, count) in [
      (stored([1, 2, 3]), 2), (stored([1, 2, 3]), 4), (stored([1, 2, 3]) + [0], 3), ([], 0), ([7, 7], 1),
    ] {
      #expect(throws: Failure.self) { try inflateRaw(bytes[...], expectedCount: count) }
    }
    // Before it allocates 4 exabytes.
    #expect(throws: Failure.self) { try inflateRaw(stored([1])[...], expectedCount: 1 << 62) }
    #expect(throws: Failure.self) { try inflateRaw(stored([1])[...], expectedCount: -1) }
  }

  @Test func checksums() {
    // The check value of CRC-32/ISO-HDLC.
    #expect(crc32(Array("123456789".utf8)[...]) == 0xCBF4_3926)
    #expect(crc32([]) == 0)
  }
}
