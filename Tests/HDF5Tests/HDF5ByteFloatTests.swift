import Basics
import Foundation
import TestSupport
import Testing

@testable import HDF5

/// Numbers in 2 to 8 bits: the file has the size that was computed, and the library reads what the bytes stand for.
@Suite struct HDF5ByteFloatTests {
  private static func value(_ code: UInt8, bias: Int) -> Float {
    let (exponent, mantissa) = (Int(code >> 4 & 7), Int(code & 15))
    let magnitude = exponent == 0 ? mantissa : (16 + mantissa) << (exponent - 1)
    return Float(sign: code < 128 ? .plus : .minus, exponent: -3 - bias, significand: Float(magnitude))
  }

  private static func codes(_ count: Int, bits: Int, _ generator: inout SplitMix64) -> [UInt8] {
    let magnitudes = (0..<min(112, 1 << (bits - 1))).map { _ in UInt8(1 + generator.next() % 111) }
    return (0..<count).map { _ in
      let place = Int(generator.next() % UInt64(magnitudes.count))
      return place == 0 ? 0 : magnitudes[place] | (generator.next() % 2 == 0 ? 0 : 128)
    }
  }

  @Test(arguments: 2...8)
  func areReadAsTheyWereWritten(bits: Int) throws {
    var generator = SplitMix64(seed: UInt64(bits))
    for (bias, shape) in [(1, [3, 3, 5, 7]), (15, [1]), (60, [255, 2]), (117, [256, 1, 3]), (30, [70_000])] {
      let codes = Self.codes(shape.reduce(1, *), bits: bits, &generator)
      let group = HDF5Group(
        attributes: ["a": .string("text")],
        groups: [
          "g": HDF5Group(datasets: [
            "x": HDF5Dataset(shape: shape, type: .byteFloat(bias: bias, bits: bits), bytes: codes),
            "y": HDF5Dataset(shape: [2], type: .float(bits: 32), bytes: Array(repeating: 1, count: 8)),
          ])
        ])
      try withTemporaryFolder { folder in
        try HDF5File.write(group, to: folder + "/f.h5")
        let size = try FileManager.default.attributesOfItem(atPath: folder + "/f.h5")[.size] as? Int
        #expect(try HDF5File.byteCount(group) == size)
        #expect(try HDF5File.writtenByteCount(group) == size)
        let read = try #require(HDF5File.read(folder + "/f.h5").dataset(at: "g/x"))
        #expect(read.shape == shape && read.type == .float(bits: 32))
        let expected = codes.flatMap { code in
          let bits = Self.value(code, bias: bias).bitPattern
          return (0..<4).map { UInt8(truncatingIfNeeded: bits >> ($0 * 8)) }
        }
        #expect(read.bytes == expected)
      }
    }
  }

  @Test(arguments: 2...8)
  func streamsAreInflated(bits: Int) throws {
    var generator = SplitMix64(seed: UInt64(bits))
    for count in [0, 1, 2, 3, 7, 8, 9, 100, 5555] {
      let bytes = Self.codes(count, bits: bits, &generator)
      let stream = FixedLengthDeflate.stream(bytes, bits: bits)
      #expect(stream.count == FixedLengthDeflate.byteCount(count, bits: bits))
      // Every number takes its bits, and the rest is constant.
      #expect(stream.count - (count * bits + 7) / 8 == FixedLengthDeflate.byteCount(0, bits: bits))
      let inflated = try inflateRaw(stream[2..<stream.count - 4], expectedCount: count)
      #expect(inflated == bytes)
    }
  }

  /// Groups with arrays of both kinds, which the library of another version lays out.
  @Test(arguments: 0..<20)
  func sizesAreExact(seed: Int) throws {
    var generator = SplitMix64(seed: UInt64(seed))
    var group = HDF5Group(attributes: ["names": .strings((0..<Int(generator.next() % 9)).map { "layer \($0)" })])
    for number in 0..<Int(1 + generator.next() % 30) {
      let factor = seed % 3 == 0 ? 60 : 1
      let shape = (0..<Int(1 + generator.next() % 5)).map { _ in Int(1 + generator.next() % 6) * factor }
      guard shape.reduce(1, *) < 100_000 else { continue }
      let bits = Int(2 + generator.next() % 7)
      let coded = HDF5Dataset(
        shape: shape, type: .byteFloat(bias: Int(1 + generator.next() % 100), bits: bits),
        bytes: Self.codes(shape.reduce(1, *), bits: bits, &generator))
      let plain = HDF5Dataset(
        shape: shape, type: .float(bits: 32), bytes: Array(repeating: 0, count: 4 * shape.reduce(1, *)))
      group.insert(generator.next() % 3 == 0 ? plain : coded, at: "layer\(number % 7)/vars/\(number)")
    }
    group.insert(
      HDF5Dataset(shape: [2], type: .byteFloat(bias: 4, bits: 3), bytes: [0, 5]), at: "last")
    #expect(try HDF5File.byteCount(group) == HDF5File.writtenByteCount(group))
  }
}
