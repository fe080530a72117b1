import Basics
import Testing

@testable import TensorCore

@Suite struct StoredTensorTests {
  /// A large tensor is decoded a part at a time, into another order or to see whether it is finite.
  @Test(arguments: [[1, 0, 2], [2, 1, 0], [0, 2, 1], [1, 2, 0]], [DType.f32, .f16])
  func decodesLargeTensorsInParts(order: [Int], dtype: DType) throws {
    let shape = [601, 3, 701]
    var generator = SplitMix64(seed: 2)
    let values = Tensor<Float>(gaussian: shape, using: &generator)
    let stored = StoredTensor(name: "t", values, as: dtype)
    let whole: Tensor<Double> = try stored.decoded()
    #expect(try stored.decoded(permuted: order) == whole.permuted(order))
    for axis in shape.indices {
      #expect(try stored.samples(2..<3, axis: axis).decoded() == whole.samples(2..<3, axis: axis))
    }
    #expect(stored.isFinite)
    var broken = values
    broken.elements[values.count - 1] = .infinity
    #expect(!StoredTensor(name: "t", broken, as: dtype).isFinite)
  }

  private func stored<Raw: FixedWidthInteger>(_ dtype: DType, _ patterns: [Raw]) -> StoredTensor {
    var bytes: [UInt8] = []
    for pattern in patterns { bytes.appendLittleEndian(pattern) }
    return StoredTensor(name: "t", dtype: dtype, shape: [patterns.count], bytes: bytes)
  }

  private func encoded(_ values: [Double], _ dtype: DType) -> [UInt64] {
    let tensor = StoredTensor(name: "t", Tensor(shape: [values.count], elements: values), as: dtype)
    let width = dtype.bits / 8
    return values.indices.map { index in
      (0..<width).reduce(0) { $0 | UInt64(tensor.bytes[index * width + $1]) << (8 * UInt64($1)) }
    }
  }

  @Test func everyHalfDecodesByItsDefinitionAndReturns() throws {
    let patterns = Array(UInt16.min...UInt16.max)
    let decoded = try stored(.f16, patterns).decoded(as: Double.self)
    for (pattern, value) in zip(patterns, decoded.elements) {
      let mantissa = Double(pattern & 0x3FF)
      let exponent = Int(pattern >> 10) & 0x1F
      let magnitude: Double =
        switch exponent {
        case 0: mantissa * 0x1p-24
        case 31: mantissa == 0 ? .infinity : .nan
        default:
          (1 + mantissa / 1024) * Double(sign: .plus, exponent: exponent - 15, significand: 1)
        }
      let expected = pattern >> 15 == 1 ? -magnitude : magnitude
      #expect(value == expected || (value.isNaN && expected.isNaN))
    }
    let numbers = patterns.filter { $0 & 0x7C00 != 0x7C00 || $0 & 0x3FF == 0 }
    let tensor = stored(.f16, numbers)
    #expect(StoredTensor(name: "t", try tensor.decoded(as: Float.self), as: .f16) == tensor)
  }

  @Test func everyBFloat16IsTheUpperHalfOfAFloatAndReturns() throws {
    let numbers = (UInt16.min...UInt16.max).filter { $0 & 0x7F80 != 0x7F80 || $0 & 0x7F == 0 }
    let tensor = stored(.bf16, numbers)
    let decoded = try tensor.decoded(as: Float.self)
    #expect(decoded.elements.map { $0.bitPattern >> 16 } == numbers.map(UInt32.init))
    #expect(decoded.elements.allSatisfy { $0.bitPattern & 0xFFFF == 0 })
    #expect(StoredTensor(name: "t", decoded, as: .bf16) == tensor)
  }

  @Test func bfloat16RoundsToNearestTiesToEven() {
    let half = 0x1p-8  // Half of the distance between 1 and the next number.
    #expect(encoded([1, 1 + half, 1 + 3 * half], .bf16) == [0x3F80, 0x3F80, 0x3F82])
    // Rounding through Float first would put these on the tie.
    #expect(encoded([1 + half + 0x1p-40, 1 + 3 * half - 0x1p-40], .bf16) == [0x3F81, 0x3F81])
    #expect(
      encoded([-0.0, .infinity, -.infinity, 1e300], .bf16) == [0x8000, 0x7F80, 0xFF80, 0x7F80])
    #expect(encoded([Double(Float.greatestFiniteMagnitude)], .bf16) == [0x7F80])
    #expect(encoded([0x1p-133, 0x1p-134, 0x1.8p-134], .bf16) == [1, 0, 1])
  }

  @Test func bfloat16IsTheNearestNeighbour() {
    var generator = SplitMix64(seed: 3)
    for _ in 0..<2000 {
      let value = generator.nextGaussian()
      let pattern = UInt16(encoded([value], .bf16)[0])
      let distance = (Double(BFloat16.value(pattern)) - value).magnitude
      #expect(distance <= (Double(BFloat16.value(pattern + 1)) - value).magnitude)
      #expect(distance <= (Double(BFloat16.value(pattern - 1)) - value).magnitude)
    }
  }

  @Test func halfRoundsOnceAndReachesSubnormals() {
    #expect(encoded([1, 1 + 0x1p-11, 1 + 3 * 0x1p-11], .f16) == [0x3C00, 0x3C00, 0x3C02])
    #expect(encoded([1 + 0x1p-11 + 0x1p-40], .f16) == [0x3C01])
    #expect(encoded([0x1p-24, 0x1p-25, 0x1.8p-25], .f16) == [1, 0, 1])
    #expect(encoded([65504, 65519, 65520], .f16) == [0x7BFF, 0x7BFF, 0x7C00])
  }

  @Test(arguments: [DType.f16, .bf16, .f32, .f64])
  func nanAndInfinityStay(dtype: DType) throws {
    let values: [Double] = [.nan, .infinity, -.infinity, -.nan, 0, -0.0]
    let tensor = StoredTensor(name: "t", Tensor(shape: [2, 3], elements: values), as: dtype)
    let back = try tensor.decoded(as: Double.self)
    #expect(back.shape == [2, 3])
    #expect(back.elements[0].isNaN && back.elements[3].isNaN)
    #expect(back.elements[1] == .infinity && back.elements[2] == -.infinity)
    #expect(back.elements[4].sign == .plus && back.elements[5].sign == .minus)
    let floats = try tensor.decoded(as: Float.self)
    #expect(!floats.isFinite)
  }

  @Test func floatsAndDoublesKeepTheirBits() throws {
    var generator = SplitMix64(seed: 5)
    let doubles = Tensor<Double>(gaussian: [7, 3], using: &generator)
    #expect(try StoredTensor(name: "d", doubles, as: .f64).decoded() == doubles)
    let floats = doubles.converted(to: Float.self)
    #expect(try StoredTensor(name: "f", floats, as: .f32).decoded() == floats)
  }

  @Test func integersConvertByValue() throws {
    #expect(
      try stored(.i8, [Int8.min, -1, 127]).decoded(as: Float.self).elements == [-128, -1, 127])
    #expect(try stored(.u8, [UInt8(0), 255]).decoded(as: Float.self).elements == [0, 255])
    #expect(try stored(.i16, [Int16.min, 2]).decoded(as: Float.self).elements == [-32768, 2])
    #expect(try stored(.u16, [UInt16.max]).decoded(as: Float.self).elements == [65535])
    #expect(try stored(.i32, [Int32.min, 7]).decoded(as: Double.self).elements == [-0x1p31, 7])
    #expect(try stored(.u32, [UInt32.max]).decoded(as: Double.self).elements == [0x1p32 - 1])
    #expect(try stored(.i64, [Int64.min, -5]).decoded(as: Double.self).elements == [-0x1p63, -5])
    #expect(try stored(.u64, [UInt64(1) << 63]).decoded(as: Double.self).elements == [0x1p63])
    #expect(try stored(.bool, [UInt8(0), 1, 2]).decoded(as: Float.self).elements == [0, 1, 1])
  }

  @Test(arguments: [DType.f8e4m3, .f8e5m2, .f8e8m0, .f4, .f6e2m3, .c64])
  func refusesTypesWithoutAPlainReading(dtype: DType) {
    let count = dtype.byteCount(of: [8]) ?? 0
    let tensor = StoredTensor(
      name: "q", dtype: dtype, shape: [8], bytes: Array(repeating: 0, count: count))
    #expect { try tensor.decoded(as: Float.self) } throws: {
      "\($0)".contains("tensor 'q'") && "\($0)".contains(dtype.rawValue)
    }
  }

  @Test func emptyAndScalarTensorsWork() throws {
    let empty = StoredTensor(name: "e", dtype: .f32, shape: [0, 3], bytes: [])
    #expect(try empty.decoded() == Tensor<Float>(zeros: [0, 3]))
    #expect(StoredTensor(name: "e", Tensor<Float>(zeros: [0]), as: .bf16).bytes.isEmpty)
    let scalar = Tensor<Double>(shape: [], elements: [2.5])
    #expect(try StoredTensor(name: "s", scalar, as: .f16).decoded() == scalar)
  }

  @Test func byteCountsRefuseWhatHasNone() {
    #expect(DType.f4.byteCount(of: [3]) == nil)
    #expect(DType.f6e3m2.byteCount(of: [4]) == 3)
    #expect(DType.f32.byteCount(of: [Int.max, 2]) == nil)
    #expect(DType.f32.byteCount(of: [1 << 60]) == nil)
    #expect(DType.u8.byteCount(of: [-1]) == nil)
    #expect(DType.f64.byteCount(of: []) == 8)
  }
}
