/// BF16 as the upper half of a Float; Swift has no such type.
enum BFloat16 {
  /// Rounds to nearest, ties to even; a NaN stays a quiet NaN.
  static func bitPattern(_ value: Double) -> UInt16 {
    if value.isNaN { return UInt16(Float(value).bitPattern >> 16) | 0x0040 }
    let bits = roundedToOdd(value).bitPattern
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
  }

  static func value(_ bitPattern: UInt16) -> Float {
    Float(bitPattern: UInt32(bitPattern) << 16)
  }

  /// Toward zero, with the last bit set when anything was lost: rounding the result once more is then rounding once.
  /// Rounding to nearest twice is not; a number just above a tie would fall on the tie and may go down.
  private static func roundedToOdd(_ value: Double) -> Float {
    let nearest = Float(value)
    guard Double(nearest) != value else { return nearest }
    let truncated =
      Double(nearest).magnitude > value.magnitude
      ? nearest.bitPattern - 1 : nearest.bitPattern
    return Float(bitPattern: truncated | 1)
  }
}

extension Float {
  /// The nearest number that BF16 holds.
  package init(roundedToBF16 value: Double) { self = BFloat16.value(BFloat16.bitPattern(value)) }
}
