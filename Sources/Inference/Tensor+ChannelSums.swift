import TensorCore

/// Sums over all axes but one: single precision within a line of one channel, double between lines.
extension Tensor where Scalar == Float {
  /// The sums of the elements, one for each entry of the axis.
  package func channelSums(_ axis: Int) -> [Double] {
    let source = elements.span
    return channelSums(axis) { i, _ in
      source.sixteen(at: i)
    } term: { i, _ in
      source[i]
    }
  }

  /// The sums of the products with another tensor, one for each entry of the axis.
  ///
  /// - Precondition: The other tensor has the same shape.
  package func channelSums(_ axis: Int, with other: Tensor) -> [Double] {
    precondition(shape == other.shape, "\(shape) and \(other.shape) differ")
    let (a, b) = (elements.span, other.elements.span)
    return channelSums(axis) { i, _ in
      a.sixteen(at: i) * b.sixteen(at: i)
    } term: { i, _ in
      a[i] * b[i]
    }
  }

  /// The sums of the squared distances from a centre, one of each for every entry of the axis.
  package func channelSquares(_ axis: Int, around centers: [Float]) -> [Double] {
    let source = elements.span
    return channelSums(axis) { i, channel in
      let distance = source.sixteen(at: i) - centers[channel]
      return distance * distance
    } term: { i, channel in
      let distance = source[i] - centers[channel]
      return distance * distance
    }
  }

  /// - Parameters:
  ///   - sixteen: the terms of sixteen neighbours in a channel, from their first place and the channel.
  ///   - term: the same of one.
  @inline(__always)
  private func channelSums(
    _ axis: Int, sixteen: (Int, Int) -> SIMD16<Float>, term: (Int, Int) -> Float
  ) -> [Double] {
    let channels = shape[axis]
    let inner = shape[(axis + 1)...].reduce(1, *)
    var sums = [Double](repeating: 0, count: channels)
    guard channels * inner > 0 else { return sums }
    if inner == 1 {
      // Blocks of rows, whose channels are added side by side.
      var block = [Float](repeating: 0, count: channels)
      let rows = count / channels
      for first in stride(from: 0, to: rows, by: 64) {
        for channel in 0..<channels { block[channel] = 0 }
        for row in first..<Swift.min(first + 64, rows) {
          for channel in 0..<channels { block[channel] += term(row * channels + channel, channel) }
        }
        for channel in 0..<channels { sums[channel] += Double(block[channel]) }
      }
      return sums
    }
    var channel = 0
    for start in stride(from: 0, to: count, by: inner) {
      var lanes = SIMD16<Float>.zero
      let whole = start + inner & ~15
      for i in stride(from: start, to: whole, by: 16) { lanes += sixteen(i, channel) }
      var sum = lanes.sum()
      for i in whole..<start + inner { sum += term(i, channel) }
      sums[channel] += Double(sum)
      channel = channel + 1 == channels ? 0 : channel + 1
    }
    return sums
  }

  /// Summed over stretched axes, so that it has the shape of the operand that was stretched.
  ///
  /// - Parameter operand: with as many axes as this, each of the same extent or 1.
  package func summed(to operand: [Int]) -> Tensor {
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

extension Tensor where Scalar == Float {
  /// A vector of sums, rounded.
  package init(sums: [Double]) { self.init(shape: [sums.count], elements: sums.map { Float($0) }) }
}
