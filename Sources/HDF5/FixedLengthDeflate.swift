/// Deflate streams in which every byte takes the same number of bits, and which every reader of the format inflates like any other.
///
/// At most 2^bits - 1 of the 256 bytes occur; the code that is left over ends the stream. So the stream's length follows from the count of
/// bytes alone. A stream is one block with an own code (RFC 1951, section 3.2.7) in which all symbols have the same length, without repetitions,
/// in the frame of zlib (RFC 1950).
enum FixedLengthDeflate {
  /// The order in which the lengths of the codes for code lengths are stated.
  private static let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
  private static let frame: (head: [UInt8], tail: Int) = ([0x78, 0x01], 4)
  private static let endOfBlock = 256

  /// How many of `order` are stated: up to the last that is not zero.
  private static func orderCount(_ bits: Int) -> Int {
    1 + max(order.firstIndex(of: 0) ?? 0, order.firstIndex(of: bits) ?? 0)
  }

  /// The bits before the first byte's, and of the end of the block, where one code for a distance is stated, in one bit.
  private static func fixedBits(_ bits: Int) -> Int { 3 + 5 + 5 + 4 + 3 * orderCount(bits) + endOfBlock + 1 + 1 + bits }

  /// Distances whose codes have no length fill the last byte, so that the rest takes whole bytes.
  private static func fillerCount(_ bits: Int) -> Int { (8 - fixedBits(bits) % 8) % 8 }

  /// The length of the stream of so many bytes.
  ///
  /// - Parameter bits: of a byte in the stream, 2 to 8.
  static func byteCount(_ count: Int, bits: Int) -> Int {
    frame.head.count + (fixedBits(bits) + fillerCount(bits)) / 8 + (count * bits + 7) / 8 + frame.tail
  }

  /// - Precondition: at most 2^bits - 1 different bytes.
  static func stream(_ bytes: [UInt8], bits: Int) -> [UInt8] {
    var isUsed = [Bool](repeating: false, count: endOfBlock)
    for byte in bytes { isUsed[Int(byte)] = true }
    // A code must be complete, so others fill it.
    var missing = (1 << bits) - 1 - isUsed.count { $0 }
    precondition(missing >= 0, "more than \((1 << bits) - 1) different bytes")
    for byte in 0..<endOfBlock where missing > 0 && !isUsed[byte] {
      isUsed[byte] = true
      missing -= 1
    }
    var writer = BitWriter(capacity: byteCount(bytes.count, bits: bits))
    writer.bytes = frame.head
    // The last block, with its own code.
    writer.add(1, 1)
    writer.add(2, 2)
    let fillers = fillerCount(bits)
    writer.add(0, 5)
    writer.add(UInt64(fillers), 5)
    let stated = order.prefix(orderCount(bits))
    writer.add(UInt64(stated.count - 4), 4)
    // Two lengths occur, none and `bits`: one bit each, 0 and 1.
    for length in stated { writer.add(length == 0 || length == bits ? 1 : 0, 3) }
    for byte in 0..<endOfBlock { writer.add(isUsed[byte] ? 1 : 0, 1) }
    writer.add(1, 1)
    for _ in 0...fillers { writer.add(0, 1) }
    // Codes are in the order of the symbols, the highest bit first.
    var codes = [UInt64](repeating: 0, count: endOfBlock)
    var next = 0
    for byte in 0..<endOfBlock where isUsed[byte] {
      codes[byte] = reversed(next, bits)
      next += 1
    }
    for byte in bytes { writer.add(codes[Int(byte)], bits) }
    writer.add(reversed(next, bits), bits)
    writer.finish()
    let sum = adler32(bytes)
    for shift in [24, 16, 8, 0] as [UInt32] { writer.bytes.append(UInt8(truncatingIfNeeded: sum >> shift)) }
    return writer.bytes
  }

  private static func reversed(_ code: Int, _ bits: Int) -> UInt64 {
    (0..<bits).reduce(0) { $0 << 1 | UInt64(code >> $1 & 1) }
  }

  private static func adler32(_ bytes: [UInt8]) -> UInt32 {
    var (a, b): (UInt32, UInt32) = (1, 0)
    for byte in bytes {
      a = (a + UInt32(byte)) % 65521
      b = (b + a) % 65521
    }
    return b << 16 | a
  }
}

/// Numbers of bits one behind the other, the lowest bits of a byte first.
private struct BitWriter {
  var bytes: [UInt8] = []
  private var pending: UInt64 = 0
  private var count = 0

  init(capacity: Int) { bytes.reserveCapacity(capacity) }

  mutating func add(_ value: UInt64, _ bits: Int) {
    pending |= value << UInt64(count)
    count += bits
    while count >= 8 {
      bytes.append(UInt8(truncatingIfNeeded: pending))
      pending >>= 8
      count -= 8
    }
  }

  /// Fills the last byte with zeros.
  mutating func finish() {
    if count > 0 { add(0, 8 - count) }
  }
}
