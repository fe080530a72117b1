/// Floating-point numbers of one byte: a sign, three bits of exponent and four of mantissa. All are whole multiples of the smallest
/// positive one, the unit, which is a power of two.
public enum ByteFloat {
  /// The numbers that are not negative, as multiples of the unit in the order of their codes. The exponent of ones alone is left out: it
  /// stands for infinity and what is no number.
  public static let multiples: [Int] = (0..<112).map { code in
    let (exponent, mantissa) = (code >> 4, code & 15)
    return exponent == 0 ? mantissa : (16 + mantissa) << (exponent - 1)
  }

  /// The exponents that the unit may have. Every number is then a normal one in single precision.
  public static let unitExponents = -120 ... -4

  /// The largest multiple of the unit.
  public static var largest: Int { multiples[multiples.count - 1] }

  /// The unit of an exponent.
  public static func unit(exponent: Int) -> Double { Double(sign: .plus, exponent: exponent, significand: 1) }

  /// The code of a number, the sign in its highest bit; nil where there is no such number. Zero has one code, 0.
  public static func code(_ value: Float, unitExponent: Int) -> UInt8? {
    let multiple = abs(Double(value)) / unit(exponent: unitExponent)
    guard multiple <= Double(largest), let integer = Int(exactly: multiple) else { return nil }
    // The bits below the highest five, if there are any, must be zero.
    let shift = max(0, Int.bitWidth - integer.leadingZeroBitCount - 5)
    guard integer & (1 << shift - 1) == 0 else { return nil }
    let magnitude = integer < 16 ? integer : (shift + 1) << 4 | (integer >> shift - 16)
    return UInt8(magnitude) | (value < 0 ? 0x80 : 0)
  }

  /// The multiple that is nearest to a number of units.
  static func nearest(_ multiple: Double) -> Int {
    multiples.min { abs(Double($0) - multiple) < abs(Double($1) - multiple) } ?? 0
  }
}
