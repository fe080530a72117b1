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

/// Axes in another order; nil reverses them.
struct Permutation: Computation {
  let order: [Int]?

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    inputs[0].permuted(order ?? outputShape.indices.reversed())
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

/// Grows every spatial axis by a whole factor.
struct Upsampling: Computation {
  let factors: [Int]
  let interpolation: Interpolation
  let layout: ChannelLayout

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    var sizes = [Float](repeating: 1, count: outputShape.count)
    for (axis, factor) in zip(layout.spatialAxes(rank: outputShape.count), factors) { sizes[axis] = Float(factor) }
    inputs.append(Value(shape: [sizes.count], elements: sizes))
    let resizing =
      interpolation == .nearest
      ? Resizing(size: .factors, coordinates: .asymmetric, method: .nearest(.floor))
      : Resizing(size: .factors, coordinates: .halfPixel, method: .linear)
    return try ResizingComputation(resizing: resizing).run(&inputs, outputShape: outputShape)
  }
}
