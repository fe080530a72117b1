import Basics
import ModelGraph
import TensorCore

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
        let divisor =
          pooling.countsPadding
          ? Float(counted(stretch, stretch.columns.lowerBound + column, axes.map { input.shape[$0] }, geometry))
          : max(1, cells[column])
        for i in (line + column) * channels..<(line + column + 1) * channels { target[i] /= divisor }
      }
    }
    return value
  }
}

extension PoolingComputation {
  /// The cells of a window that lie in the input or its border: a last window may reach over both.
  fileprivate func counted(_ stretch: Stretch, _ column: Int, _ input: [Int], _ geometry: Geometry) -> Int {
    guard pooling.roundsUp else { return geometry.kernel.count }
    let places = [stretch.depth, stretch.row, column].suffix(input.count)
    return zip(input.indices, places).reduce(1) { total, pair in
      let (axis, place) = pair
      return total * pooling.countedCells(axis: axis, place: place, input: input[axis])
    }
  }
}

/// Where in the whole operand the maximum of each window lies; the first of equal ones.
struct MaximumPlace: Computation {
  let pooling: Pooling
  let columnsFirst: Bool

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let input = inputs[0]
    let spatial = Array(input.shape.dropFirst(2))
    let geometry = Geometry(
      input: spatial, output: Array(outputShape.dropFirst(2)), kernel: pooling.extents, window: pooling.window)
    let plane = spatial.reduce(1, *)
    guard input.elements.count <= 1 << 24 else {
      throw Failure(
        "", "cannot be run", "places among \(input.elements.count) elements are not exact",
        remedy: "expected at most \(1 << 24): take smaller batches")
    }
    let strides = Array(Tensor<Float>.strides(of: spatial.reversed()).reversed())
    let own = Tensor<Float>.strides(of: spatial)
    var result = Value(zeros: outputShape)
    var next = 0
    geometry.forEachStretch(0..<result.elements.count) { stretch in
      var best = [Int?](repeating: nil, count: stretch.columns.count)
      geometry.forEachTap(stretch) { _, column, place in
        guard let known = best[column] else {
          best[column] = place
          return
        }
        if input.elements[place] > input.elements[known] { best[column] = place }
      }
      for place in best {
        let place = place ?? 0
        let inPlane = place % max(1, plane)
        let turned = spatial.indices.reduce(0) { $0 + inPlane / own[$1] % spatial[$1] * strides[$1] }
        result.elements[next] = Float(columnsFirst ? place - inPlane + turned : place)
        next += 1
      }
    }
    return result
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
