import ModelGraph
import TensorCore

/// An average's gradient goes to all cells of its window alike, a maximum's to the first cell that has it.
struct PoolingAdjoint: Adjoint {
  let pooling: Pooling

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads {
    pooling.kind == .maximum ? [.operands, .output] : []
  }

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    let (input, output) = (pass.operandShapes[0], pass.gradient.shape)
    let axes = Array(pooling.layout.spatialAxes(rank: input.count))
    // With channels first every plane is an image with one channel.
    let channels = pooling.layout == .channelsLast ? input[input.count - 1] : 1
    let windows = windows(axes.map { input[$0] }, axes.map { output[$0] }, channels: channels)
    let plane = axes.reduce(1) { $0 * input[$1] } * channels
    var result = [Float](repeating: 0, count: input.reduce(1, *))
    var target = result.mutableSpan
    let gradient = pass.gradient.elements.span
    var position = 0
    for start in stride(from: 0, to: target.count, by: max(1, plane)) {
      for window in windows {
        for channel in 0..<channels {
          if pooling.kind == .average {
            let part = gradient[position + channel] / window.divisor
            for cell in window.cells { target[start + cell + channel] += part }
          } else if let value = pass.output?.elements[position + channel],
            let cell = window.cells.first(where: { pass.operands[0].elements[start + $0 + channel] == value })
          {
            target[start + cell + channel] += gradient[position + channel]
          }
        }
        position += channels
      }
    }
    return AdjointResult(operands: [Tensor(shape: input, elements: result)])
  }

  private struct PlaneWindow {
    /// Offsets in the plane, in order.
    var cells: [Int]
    /// What an average divides by.
    var divisor: Float
  }

  /// One for every output place of a plane, the last axis fastest.
  private func windows(_ input: [Int], _ output: [Int], channels: Int) -> [PlaneWindow] {
    var cells = [[0]]
    for axis in input.indices {
      let (window, extent) = (pooling.window, pooling.extents[axis])
      let (stride, dilation) = (window.stride[axis], window.dilation[axis])
      let before = window.padding.amounts(
        axis: axis, input: input[axis], kernel: extent, stride: stride, dilation: dilation
      ).before
      let step = input[(axis + 1)...].reduce(channels, *)
      let places = (0..<output[axis]).map { place in
        (0..<extent).map { place * stride - before + $0 * dilation }.filter { (0..<input[axis]).contains($0) }
      }
      cells = cells.flatMap { outer in places.map { inner in outer.flatMap { cell in inner.map { cell + $0 * step } } }
      }
    }
    var counts = [1]
    for axis in input.indices {
      let own = (0..<output[axis]).map { pooling.countedCells(axis: axis, place: $0, input: input[axis]) }
      counts = counts.flatMap { outer in own.map { outer * $0 } }
    }
    return zip(cells, counts).map {
      PlaneWindow(cells: $0, divisor: Float(max(1, pooling.countsPadding ? $1 : $0.count)))
    }
  }
}

/// The mean or the maximum over all positions.
struct GlobalPoolingAdjoint: Adjoint {
  let kind: Pooling.Kind
  let layout: ChannelLayout

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { kind == .maximum ? [.operands, .output] : [] }

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    let shape = pass.operandShapes[0]
    let channels = shape[layout.channelAxis(rank: shape.count)]
    let positions = shape.dropFirst().reduce(1, *) / max(1, channels)
    let (channelStride, positionStride) = layout == .channelsLast ? (1, channels) : (positions, 1)
    let part = 1 / Float(max(1, positions))
    var result = [Float](repeating: 0, count: shape.reduce(1, *))
    for image in 0..<shape[0] {
      for channel in 0..<channels {
        let gradient = pass.gradient.elements[image * channels + channel]
        let start = image * positions * channels + channel * channelStride
        if kind == .average {
          for position in 0..<positions { result[start + position * positionStride] = gradient * part }
        } else if let largest = pass.output?.elements[image * channels + channel],
          let position = (0..<positions).first(where: {
            pass.operands[0].elements[start + $0 * positionStride] == largest
          })
        {
          result[start + position * positionStride] = gradient
        }
      }
    }
    return AdjointResult(operands: [Tensor(shape: shape, elements: result)])
  }
}
