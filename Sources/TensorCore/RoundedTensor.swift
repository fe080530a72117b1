/// A weight as integers with one scale for each output channel: element i of channel c stands for the single-precision product of
/// `scales[c]` and the multiple that `levels` has for `integers[i]`.
public struct RoundedTensor: Sendable, Equatable {
  /// The extents of the axes; the first one counts the output channels.
  public let shape: [Int]
  /// The bits of an integer.
  public let width: BitWidth
  /// The integers, row-major, of -q to q.
  public let integers: [Int8]
  /// One for each output channel: positive, finite, and representable as BF16.
  public let scales: [Float]
  /// What the integers stand for.
  public let levels: Levels

  /// A weight of these parts.
  ///
  /// - Parameter levels: nil where integers stand for themselves.
  /// - Precondition: as many integers as the shape says, each within the width and the levels, and one scale for each output channel.
  public init(shape: [Int], width: BitWidth, integers: [Int8], scales: [Float], levels: Levels? = nil) {
    let levels = levels ?? Levels(width)
    precondition(
      !shape.isEmpty && integers.count == shape.reduce(1, *) && scales.count == shape[0],
      "\(integers.count) integers with \(scales.count) scales do not fill \(shape)")
    let largest = min(width.largest, levels.largestInteger)
    precondition(integers.allSatisfy { abs(Int($0)) <= largest }, "an integer has more than \(width.rawValue) bits")
    self.shape = shape
    self.width = width
    self.integers = integers
    self.scales = scales
    self.levels = levels
  }

  /// The scale of a weight whose channels have none of their own: the power of two that gives independent inputs about their own size.
  ///
  /// That is 2^-e with the largest e for which 4^e is at most 2 q^2 n, with n elements for each output channel and integers of -q to q.
  public static func impliedScale(_ shape: [Int], _ width: BitWidth) -> Float {
    let elements = max(1, shape.dropFirst().reduce(1, *))
    let square = 2 * width.largest * width.largest * elements
    return 1 / Float(1 << ((Int.bitWidth - 1 - square.leadingZeroBitCount) / 2))
  }

  /// How files store such a weight.
  public var storage: WeightStorage { levels.isUniform ? .integers(width) : .levels(width) }

  /// The numbers that the integers stand for, exactly as a runtime computes them in single precision.
  public var values: Tensor<Double> {
    let channel = scales.isEmpty ? 1 : max(1, integers.count / scales.count)
    return Tensor(
      shape: shape, elements: integers.enumerated().map { Double(scales[$0 / channel] * Float(levels.multiple($1))) })
  }

  /// The integers one behind the other without gaps, each as `integer + q` in `width` bits, the lowest bits of a byte first; the last
  /// byte is filled with zeros.
  public var packed: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.packedCount(integers.count, width))
    var position = 0
    for integer in integers {
      let code = UInt16(Int(integer) + width.largest) << UInt16(position % 8)
      bytes[position / 8] |= UInt8(truncatingIfNeeded: code)
      if position % 8 + width.rawValue > 8 { bytes[position / 8 + 1] |= UInt8(truncatingIfNeeded: code >> 8) }
      position += width.rawValue
    }
    return bytes
  }

  /// The bytes that so many packed integers take.
  public static func packedCount(_ count: Int, _ width: BitWidth) -> Int { (count * width.rawValue + 7) / 8 }

  /// Reads what `packed` states; nil where the bytes are too few, a code is beyond the width, or a scale is not positive and finite.
  public init?(packed bytes: [UInt8], shape: [Int], width: BitWidth, scales: [Float]) {
    var count = 1
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow, product <= Int(Int32.max) * 64 else { return nil }
      count = product
    }
    guard let channels = shape.first, scales.count == channels, bytes.count == Self.packedCount(count, width),
      scales.allSatisfy({ $0 > 0 && $0.isFinite })
    else { return nil }
    let mask = UInt16(1 << width.rawValue) - 1
    var integers = [Int8](repeating: 0, count: count)
    for i in 0..<count {
      let position = i * width.rawValue
      var word = UInt16(bytes[position / 8])
      if position / 8 + 1 < bytes.count { word |= UInt16(bytes[position / 8 + 1]) << 8 }
      let integer = Int((word >> UInt16(position % 8)) & mask) - width.largest
      guard integer <= width.largest else { return nil }
      integers[i] = Int8(integer)
    }
    self.init(shape: shape, width: width, integers: integers, scales: scales)
  }
}
