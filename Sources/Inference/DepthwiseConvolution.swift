import ModelGraph
import TensorCore

/// One input channel for each group, channels last: every tap is a product over neighbouring channels.
struct DepthwiseConvolution: FinishingComputation {
  let convolution: Convolution
  /// The kernel (taps, all output channels): the copies of the weight side by side.
  let weights: [Float]
  var finish: Finish

  init(_ convolution: Convolution, kernel: Tensor<Float>, finish: Finish) {
    self.convolution = convolution
    self.finish = finish
    let taps = convolution.tapCount
    let transposed = kernel.reshaped([convolution.outputsPerCopy, taps]).permuted([1, 0]).elements
    let outputs = convolution.outputsPerCopy
    weights = (0..<taps).flatMap { tap in
      (0..<convolution.batch).flatMap { _ in transposed[tap * outputs..<(tap + 1) * outputs] }
    }
  }

  func channelAxis(rank: Int) -> Int { rank - 1 }

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let input = inputs[0]
    let geometry = convolution.geometry(input.shape, outputShape, .channelsLast)
    let outputs = convolution.outputChannels
    var value = Value(zeros: outputShape)
    let positions = value.elements.count / max(1, outputs)
    var target = value.elements.mutableSpan
    let multiplier = convolution.outputsPerCopy / convolution.groups
    var next = 0
    geometry.forEachStretch(0..<positions) { stretch in
      let line = next
      geometry.forEachTap(stretch) { tap, column, place in
        let to = (line + column) * outputs
        let from = place * convolution.inputChannels
        if multiplier == 1 {
          accumulate(
            input.elements.span, at: from, weights.span, at: tap * outputs, to: &target, at: to, count: outputs)
        } else {
          for channel in 0..<convolution.inputChannels {
            let x = input.elements[from + channel]
            for i in channel * multiplier..<(channel + 1) * multiplier {
              target[to + i] += x * weights[tap * outputs + i]
            }
          }
        }
      }
      let end = line + stretch.columns.count
      target.withPart(line * outputs..<end * outputs) { finish.apply(toRows: &$0) }
      next = end
    }
    return value
  }
}

/// target += a * b, element by element.
@inline(__always)
private func accumulate(
  _ a: Span<Float>, at aStart: Int, _ b: Span<Float>, at bStart: Int, to target: inout MutableSpan<Float>,
  at start: Int, count: Int
) {
  var i = 0
  while i + 16 <= count {
    let sum = target.span.sixteen(at: start + i) + a.sixteen(at: aStart + i) * b.sixteen(at: bStart + i)
    target.store(sum, at: start + i)
    i += 16
  }
  while i < count {
    target[start + i] += a[aStart + i] * b[bStart + i]
    i += 1
  }
}

/// One input channel for each group, channels first: every tap is a product over the whole plane.
struct PlanewiseConvolution: FinishingComputation {
  let convolution: Convolution
  /// The elements of the weight, (out, 1, taps).
  let kernel: [Float]
  var finish: Finish

  func channelAxis(rank: Int) -> Int { 1 }

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let input = inputs[0]
    let geometry = convolution.geometry(input.shape, outputShape, .channelsFirst)
    let multiplier = convolution.outputsPerCopy / convolution.groups
    let count = geometry.output.count
    let taps = geometry.kernel.count
    let grid = PaddedPlane(geometry)
    var plane = grid.empty
    var outputs = grid.emptyOutputs
    let elements = [Float](count: outputShape.reduce(1, *)) { target in
      for output in 0..<outputShape[0] * convolution.outputChannels {
        if output % multiplier == 0 {
          var span = plane.mutableSpan
          grid.fill(&span, from: input.elements.span, at: output / multiplier * geometry.input.count)
        }
        var span = outputs.mutableSpan
        grid.convolve(plane.span, kernel.span, at: output % convolution.outputsPerCopy * taps, into: &span)
        grid.gather(outputs.span, into: &target, at: output * count)
        target.withPart(output * count..<(output + 1) * count) {
          finish.apply(to: &$0, channel: output % convolution.outputChannels)
        }
      }
    }
    return Value(shape: outputShape, elements: elements)
  }
}
