extension Array where Element == UInt8 {
  /// Appends the bytes of an integer, the lowest first.
  public mutating func appendLittleEndian<Raw: FixedWidthInteger>(_ value: Raw) {
    var rest = value
    for _ in 0..<Raw.bitWidth / 8 {
      append(UInt8(truncatingIfNeeded: rest))
      rest >>= 8
    }
  }

  /// The little-endian integer that begins at `offset`.
  @inlinable public func littleEndian<Raw: FixedWidthInteger & UnsignedInteger>(
    _: Raw.Type, at offset: Int
  ) -> Raw {
    var value: Raw = 0
    for i in 0..<Raw.bitWidth / 8 { value |= Raw(truncatingIfNeeded: self[offset + i]) << (8 * i) }
    return value
  }
}
