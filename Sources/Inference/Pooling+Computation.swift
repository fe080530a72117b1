import ModelGraph

/// The maximum or the mean of every window. With channels first, every plane is an image with one channel.
struct PoolingComputation: Computation {
  let pooling: Pooling

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let input = inputs[0]
    let rank = outputShape.count
    let axes = pooling.layout.spatialAxes(rank: rank)
    let geometry = Geometry(
      input: Array(input.shape[axes]), output: Array(outputShape[axes]), kernel: pooling.extents,
      window: pooling.window)
    let channels = pooling.layout == .channelsLast ? outputShape[rank - 1] : 1
    let isMaximum = pooling.kind == .maximum
    let count = outputShape.reduce(1, *)
    var value = Value(
      shape: outputShape, elements: Array(repeating: isMaximum ? -.infinity : 0, count: count))
    let source = input.elements.span
    var target = value.elements.mutableSpan
    var next = 0
    var cells: [Float] = []
    geometry.forEachStretch(0..<count / max(1, channels)) { stretch in
      let line = next
      cells = Array(repeating: 0, count: stretch.columns.count)
      geometry.forEachTap(stretch) { _, column, place in
        let (from, to) = (place * channels, (line + column) * channels)
        cells[column] += 1
        if isMaximum {
          // A NaN compares with nothing, and stays once it is there.
          for i in 0..<channels {
            let (x, largest) = (source[from + i], target[to + i])
            target[to + i] = x <= largest || largest != largest ? largest : x
          }
        } else {
          for i in 0..<channels { target[to + i] += source[from + i] }
        }
      }
      next = line + stretch.columns.count
      guard !isMaximum else { return }
      for column in 0..<stretch.columns.count {
        let divisor = pooling.countsPadding ? Float(geometry.kernel.count) : max(1, cells[column])
        for i in (line + column) * channels..<(line + column + 1) * channels { target[i] /= divisor }
      }
    }
    return value
  }
}

/// The maximum or the mean over all positions.
struct GlobalPooling: Computation {
  let kind: Pooling.Kind
  let layout: ChannelLayout

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let input = inputs[0]
    let channelAxis = layout.channelAxis(rank: input.shape.count)
    let (images, channels) = (input.shape[0], input.shape[channelAxis])
    let positions = input.elements.count / max(1, images * channels)
    let (channelStride, positionStride) = layout == .channelsLast ? (1, channels) : (positions, 1)
    var value = Value(zeros: outputShape)
    var sums = [Double](repeating: 0, count: channels)
    for image in 0..<images {
      let start = image * positions * channels
      for channel in 0..<channels { sums[channel] = kind == .maximum ? -.infinity : 0 }
      for position in 0..<positions {
        for channel in 0..<channels {
          let x = Double(input.elements[start + position * positionStride + channel * channelStride])
          if kind == .average {
            sums[channel] += x
          } else {
            sums[channel] = x <= sums[channel] || sums[channel].isNaN ? sums[channel] : x
          }
        }
      }
      for channel in 0..<channels {
        value.elements[image * channels + channel] =
          Float(kind == .maximum ? sums[channel] : sums[channel] / Double(positions))
      }
    }
    return value
  }
}
