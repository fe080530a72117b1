import Basics
import TensorCore
import Testing

@Suite struct LevelsTests {
  private static let all = BitWidth.allCases.flatMap { width in
    [Levels(width)] + Levels.byteFloats(width)
  }

  @Test(arguments: BitWidth.allCases) func fitTheirWidth(_ width: BitWidth) {
    for levels in Levels.byteFloats(width) {
      #expect(levels.multiples.first == 0 && levels.multiples == Set(levels.multiples).sorted())
      #expect(levels.largestInteger <= width.largest)
      #expect(levels.multiples.allSatisfy { ByteFloat.multiples.contains($0) })
      // The lists of a width span an octave.
      #expect((ByteFloat.largest / 2...ByteFloat.largest).contains(levels.multiples.last ?? 0))
    }
  }

  @Test func theNearestIsThatOfAScan() {
    var generator = SplitMix64(seed: 3)
    for levels in Self.all {
      let values = levels.multiples.map { levels.multiple(Int8(levels.multiples.firstIndex(of: $0) ?? 0)) }
      #expect(values == levels.multiples)
      let top = Double(values.last ?? 0)
      for _ in 0..<300 {
        let multiple = (generator.nextUniform() * 2 - 1) * 1.3 * top
        let least = values.reduce(Double.infinity) { min($0, abs(abs(multiple) - Double($1))) }
        let found = levels.integer(nearest: multiple)
        #expect(abs(abs(Double(levels.multiple(found)) - multiple) - least) < 1e-9)
      }
      for place in values.indices {
        let integer = Int8(place)
        #expect(levels.integer(nearest: Double(levels.multiple(integer))) == integer)
        #expect(levels.integer(nearest: Double(levels.multiple(-integer))) == -integer)
      }
      #expect(levels.integer(nearest: 1e300) == Int8(levels.largestInteger))
    }
  }

  @Test func codesAreThoseOfTheNumbers() {
    for exponent in [-120, -60, -4] {
      let unit = Float(ByteFloat.unit(exponent: exponent))
      for (code, multiple) in ByteFloat.multiples.enumerated() {
        #expect(ByteFloat.code(Float(multiple) * unit, unitExponent: exponent) == UInt8(code))
        if code > 0 { #expect(ByteFloat.code(-Float(multiple) * unit, unitExponent: exponent) == UInt8(code) | 128) }
      }
      for multiple in 0...1100 where !ByteFloat.multiples.contains(multiple) {
        #expect(ByteFloat.code(Float(multiple) * unit, unitExponent: exponent) == nil)
      }
      for value in [unit / 2, unit * 1e9, .infinity, .nan] {
        #expect(ByteFloat.code(value, unitExponent: exponent) == nil)
      }
    }
    #expect(ByteFloat.code(-0.0, unitExponent: -4) == 0)
  }
}
