/// What the integers of a rounded weight stand for, as multiples of its scale: an integer's magnitude is a place in a list of multiples.
public struct Levels: Sendable, Hashable {
  /// The multiples, ascending, 0 first.
  public let multiples: [Int]
  /// Whether every integer stands for itself.
  @usableFromInline let isUniform: Bool
  @usableFromInline let largest: Double
  /// For every half of a multiple the place that is nearest to what begins there; empty where integers stand for themselves.
  @usableFromInline let nearestPlaces: [Int8]

  /// Integers of -`largest` to `largest` that stand for themselves.
  public init(uniform largest: Int) {
    multiples = Array(0...largest)
    isUniform = true
    self.largest = Double(largest)
    nearestPlaces = []
  }

  /// The integers of a width, which stand for themselves.
  public init(_ width: BitWidth) { self.init(uniform: width.largest) }

  /// - Parameter multiples: ascending, 0 first, at most 128.
  init(_ multiples: [Int]) {
    self.multiples = multiples
    isUniform = false
    let last = multiples[multiples.count - 1]
    largest = Double(last)
    var places: [Int8] = []
    var place = 0
    for half in 0..<2 * last {
      while place + 1 < multiples.count, half >= multiples[place] + multiples[place + 1] { place += 1 }
      places.append(Int8(place))
    }
    nearestPlaces = places
  }

  /// The largest magnitude of an integer.
  public var largestInteger: Int { multiples.count - 1 }

  /// The integer that stands for the nearest multiple.
  @inlinable
  public func integer(nearest multiple: Double) -> Int8 {
    if isUniform { return Int8(max(-largest, min(largest, multiple.rounded(.toNearestOrEven)))) }
    let magnitude = abs(multiple)
    let place = magnitude < largest ? nearestPlaces[Int(2 * magnitude)] : Int8(multiples.count - 1)
    return multiple < 0 ? -place : place
  }

  /// The multiple that an integer stands for.
  @inlinable
  public func multiple(_ integer: Int8) -> Int {
    if isUniform { return Int(integer) }
    return integer < 0 ? -multiples[Int(-integer)] : multiples[Int(integer)]
  }
}

extension Levels {
  /// The lists of floating-point numbers of one byte that a weight of some width chooses from: their largest numbers stand at equal
  /// distances in an octave, the largest of all first.
  ///
  /// Each is a floating-point format of the width with two bits of exponent, all codes finite, stretched and rounded to what a byte holds;
  /// 8 bits take all numbers of a byte. With one scale for a whole kernel of a real network this loses 1 to 2.5 decibels less in 4 to 7 bits
  /// than evenly spaced numbers do, and no more than a list that is fitted to the kernel.
  public static func byteFloats(_ width: BitWidth) -> [Levels] { families[width.rawValue - 2] }

  private static let perOctave = 8
  /// The eighth root of 2.
  private static let stretch = 2.0.squareRoot().squareRoot().squareRoot()

  private static let families: [[Levels]] = BitWidth.allCases.map { width in
    if width == .eight { return [Levels(ByteFloat.multiples)] }
    let format = format(width)
    let largest = format[format.count - 1]
    return (0..<perOctave).map { step in
      let top = Double(ByteFloat.largest) / (0..<step).reduce(1) { product, _ in product * stretch }
      return Levels(Set(format.map { ByteFloat.nearest($0 / largest * top) }).sorted())
    }
  }

  /// The magnitudes of a small floating-point format whose exponent has two bits, or as many as there are.
  private static func format(_ width: BitWidth) -> [Double] {
    let bits = width.rawValue - 1
    let mantissaBits = max(0, bits - 2)
    return (0..<1 << bits).map { code in
      let (exponent, mantissa) = (code >> mantissaBits, code & (1 << mantissaBits - 1))
      return Double(exponent == 0 ? mantissa : (1 << mantissaBits + mantissa) << (exponent - 1))
    }
  }
}
