import TensorCore

extension Tensor where Scalar == Float {
  /// The sum over all axes but one.
  func channelSums(_ axis: Int) -> Tensor {
    var sums = [Double](repeating: 0, count: shape[axis])
    addChannels(axis, to: &sums) { x, _, _ in x }
    return Tensor(shape: [shape[axis]], elements: sums.map { Float($0) })
  }

  /// The sum over all axes but one of the products with another tensor.
  func channelSums(_ axis: Int, with other: Tensor) -> Tensor {
    var sums = [Double](repeating: 0, count: shape[axis])
    let factor = other.elements.span
    addChannels(axis, to: &sums) { x, index, _ in x * factor[index] }
    return Tensor(shape: [shape[axis]], elements: sums.map { Float($0) })
  }

  /// Adds a function of every element, its place and its channel to that channel's sum: single precision within a line, double between
  /// lines.
  @inline(__always)
  func addChannels(_ axis: Int, to sums: inout [Double], _ term: (Float, Int, Int) -> Float) {
    let channels = shape[axis]
    let inner = shape[(axis + 1)...].reduce(1, *)
    guard channels * inner > 0 else { return }
    let source = elements.span
    if inner == 1 {
      // Blocks of rows, whose channels are added side by side.
      var block = [Float](repeating: 0, count: channels)
      let rows = source.count / channels
      for first in stride(from: 0, to: rows, by: 64) {
        for channel in 0..<channels { block[channel] = 0 }
        for row in first..<Swift.min(first + 64, rows) {
          let start = row * channels
          for channel in 0..<channels { block[channel] += term(source[start + channel], start + channel, channel) }
        }
        for channel in 0..<channels { sums[channel] += Double(block[channel]) }
      }
      return
    }
    var channel = 0
    for start in stride(from: 0, to: source.count, by: inner) {
      var lanes = SIMD16<Float>.zero
      let whole = inner & ~15
      for i in stride(from: 0, to: whole, by: 16) {
        for lane in 0..<16 { lanes[lane] += term(source[start + i + lane], start + i + lane, channel) }
      }
      var sum = lanes.sum()
      for i in whole..<inner { sum += term(source[start + i], start + i, channel) }
      sums[channel] += Double(sum)
      channel = channel + 1 == channels ? 0 : channel + 1
    }
  }

  /// Summed over stretched axes, so that it has the shape of the operand that was stretched.
  ///
  /// - Parameter operand: with as many axes as this, each of the same extent or 1.
  func summed(to operand: [Int]) -> Tensor {
    guard shape != operand else { return self }
    let kept = shape.indices.filter { operand[$0] == shape[$0] }
    let lost = shape.indices.filter { operand[$0] != shape[$0] }
    let rows = permuted(kept + lost)
    let count = lost.reduce(1) { $0 * shape[$1] }
    let source = rows.elements.span
    var result = [Float](repeating: 0, count: operand.reduce(1, *))
    for row in result.indices {
      var sum = 0.0
      for i in row * count..<(row + 1) * count { sum += Double(source[i]) }
      result[row] = Float(sum)
    }
    return Tensor(shape: operand, elements: result)
  }
}
