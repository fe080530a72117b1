import ModelGraph
import TensorCore

/// The same elements under the output's shape.
struct Reshaping: Computation {
  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    var value = inputs.removeFirst()
    value.shape = outputShape
    return value
  }
}

/// Axes in another order.
struct Permutation: Computation {
  let order: [Int]

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    inputs[0].permuted(order)
  }
}

/// The channel axis seen as several axes, in another order.
struct ChannelPermutation: Computation {
  let axes: [Int]
  let order: [Int]
  let layout: ChannelLayout

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let channelAxis = layout.channelAxis(rank: outputShape.count)
    let outer = outputShape[..<channelAxis].reduce(1, *)
    let inner = outputShape[(channelAxis + 1)...].reduce(1, *)
    let permuted = inputs[0].reshaped([outer] + axes + [inner])
      .permuted([0] + order.map { $0 + 1 } + [axes.count + 1])
    return permuted.reshaped(outputShape)
  }
}

/// [batch, features] several times: [batch, count, features].
struct Repetition: Computation {
  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    inputs[0].reshaped([outputShape[0], 1, outputShape[2]]).stretched(to: outputShape)
  }
}

/// A window into the input that may reach over its edges: a border where it does, a crop where it does not.
struct Border: Computation {
  /// Where the output begins in the input, for every axis.
  let before: [Int]
  let value: Float

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let input = inputs[0]
    let strides = Tensor<Float>.strides(of: input.shape)
    var result = Value(
      shape: outputShape, elements: Array(repeating: value, count: outputShape.reduce(1, *)))
    guard !input.elements.isEmpty, !result.elements.isEmpty else { return result }
    let targetStrides = Tensor<Float>.strides(of: outputShape)
    let source = input.elements.span
    var target = result.elements.mutableSpan
    // For every axis, the output indices that lie inside the input.
    let inside = outputShape.indices.map { axis in
      let first = max(0, -before[axis])
      return first..<max(first, min(outputShape[axis], input.shape[axis] - before[axis]))
    }
    guard inside.allSatisfy({ !$0.isEmpty }) else { return result }
    let last = outputShape.count - 1
    var index = inside.map(\.lowerBound)
    while true {
      var (from, to) = (0, 0)
      for axis in index.indices {
        from += (index[axis] + before[axis]) * strides[axis]
        to += index[axis] * targetStrides[axis]
      }
      copyRun(source, at: from, to: &target, at: to, count: inside[last].count)
      var axis = last - 1
      while axis >= 0 {
        index[axis] += 1
        if index[axis] < inside[axis].upperBound { break }
        index[axis] = inside[axis].lowerBound
        axis -= 1
      }
      if axis < 0 { return result }
    }
  }
}

/// Grows every spatial axis by a whole factor, one axis after the other.
struct Upsampling: Computation {
  let factors: [Int]
  let interpolation: Interpolation
  let layout: ChannelLayout

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    var value = inputs.removeFirst()
    for (axis, factor) in zip(layout.spatialAxes(rank: outputShape.count), factors) where factor > 1 {
      value = value.upsampled(axis, factor, interpolation)
    }
    return value
  }
}

extension Value {
  fileprivate func upsampled(_ axis: Int, _ factor: Int, _ interpolation: Interpolation) -> Value {
    let length = shape[axis]
    let inner = shape[(axis + 1)...].reduce(1, *)
    let outer = shape[..<axis].reduce(1, *)
    var resultShape = shape
    resultShape[axis] *= factor
    var result = Value(zeros: resultShape)
    var target = result.elements.mutableSpan
    let source = elements.span
    for line in 0..<outer {
      for place in 0..<length * factor {
        let to = (line * length * factor + place) * inner
        if interpolation == .nearest {
          copyRun(source, at: (line * length + place / factor) * inner, to: &target, at: to, count: inner)
          continue
        }
        // Half-pixel centres; beyond the outermost centres the edge continues.
        let centre = max(0, (Float(place) + 0.5) / Float(factor) - 0.5)
        let lower = min(Int(centre), length - 1)
        let upper = min(lower + 1, length - 1)
        let weight = centre - Float(lower)
        let (a, b) = ((line * length + lower) * inner, (line * length + upper) * inner)
        for i in 0..<inner { target[to + i] = source[a + i] * (1 - weight) + source[b + i] * weight }
      }
    }
    return result
  }
}
