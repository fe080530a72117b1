import LinearAlgebra
import ModelGraph
import TensorCore

/// What the gradient of a convolution's output says about its input and its kernel.
///
/// Both are convolutions again. The input's is one with the kernel turned round where the window moves by one, else a transposed one; the
/// kernel's is a product of the output's gradient with the patches that made the output, image by image.
package struct ConvolutionGradients: Sendable {
  private let convolution: Convolution
  private let layout: ChannelLayout

  /// The gradients of one convolution.
  ///
  /// - Parameter layout: of inputs and outputs; without meaning where there are no spatial axes.
  package init(_ convolution: Convolution, _ layout: ChannelLayout) {
    self.convolution = convolution
    self.layout = layout
  }

  /// The gradient of the input.
  ///
  /// - Parameters:
  ///   - gradient: of the output, (batch, out, spatial...) or (batch, spatial..., out).
  ///   - kernel: of the convolution's `kernelShape`.
  /// - Throws: `Failure` where the kernel has more spatial axes than can be run.
  package func ofInput(_ gradient: Tensor<Float>, kernel: Tensor<Float>, inputShape: [Int]) throws -> Tensor<Float> {
    let borders = borders(inputShape)
    let reach = zip(convolution.spatialExtents, convolution.window.dilation).map { ($0 - 1) * $1 }
    let isPlain =
      convolution.window.stride.allSatisfy { $0 == 1 }
      && zip(borders, reach).allSatisfy { $0.before <= $1 && $0.after <= $1 }
    guard !isPlain else {
      let turned = turned(kernel)
      let window = Window(
        stride: convolution.window.stride, dilation: convolution.window.dilation,
        padding: .explicit(
          before: zip(reach, borders).map { $0 - $1.before }, after: zip(reach, borders).map { $0 - $1.after }))
      let back = Convolution(
        kernelShape: turned.shape, groups: convolution.groups, batch: convolution.batch, window: window)
      var inputs = [Value(gradient)]
      return try convolutionComputation(back, layout, kernel: turned, bias: nil)
        .run(&inputs, outputShape: inputShape).tensor
    }
    // Copies of the weight are images of their own, channels first.
    let folded = folded(gradient)
    let foldedInput = foldedShape(inputShape)
    var inputs = [Value(folded)]
    let result = try TransposedConvolutionComputation(
      TransposedConvolution(
        kernelShape: convolution.kernelShape, groups: convolution.groups,
        window: Window(
          stride: convolution.window.stride, dilation: convolution.window.dilation,
          padding: .explicit(before: borders.map(\.before), after: borders.map(\.after))),
        layout: .channelsFirst, kernel: TensorReference("kernel"), bias: nil), kernel: kernel, bias: nil
    ).run(&inputs, outputShape: foldedInput).tensor
    return unfolded(result, inputShape)
  }

  /// The gradient of the kernel, of its shape.
  ///
  /// - Parameters:
  ///   - gradient: of the output.
  ///   - input: that the output was made of.
  package func ofKernel(_ gradient: Tensor<Float>, input: Tensor<Float>) -> Tensor<Float> {
    var result = [Float](repeating: 0, count: convolution.parameterCount)
    if convolution.spatialOrder == 0 {
      addRows(gradient, input, to: &result)
    } else {
      let (output, source) = (folded(gradient), folded(input))
      let geometry = convolution.geometry(source.shape, output.shape, .channelsFirst)
      if convolution.kernelShape[1] == 1, convolution.groups > 1 {
        addPlanes(output, source, geometry, to: &result)
      } else {
        addPatches(output, source, geometry, to: &result)
      }
    }
    return Tensor(shape: convolution.kernelShape, elements: result)
  }

  private func borders(_ inputShape: [Int]) -> [(before: Int, after: Int)] {
    let places = Array(layout.spatialAxes(rank: inputShape.count))
    let window = convolution.window
    return convolution.spatialExtents.indices.map { axis in
      window.padding.amounts(
        axis: axis, input: inputShape[places[axis]], kernel: convolution.spatialExtents[axis],
        stride: window.stride[axis], dilation: window.dilation[axis])
    }
  }

  /// (in, out / groups, spatial...) with every spatial axis turned round, group by group.
  private func turned(_ kernel: Tensor<Float>) -> Tensor<Float> {
    let (groups, taps) = (convolution.groups, convolution.tapCount)
    let (width, depth) = (convolution.outputsPerCopy / groups, convolution.kernelShape[1])
    var result = [Float](repeating: 0, count: kernel.count)
    let source = kernel.elements.span
    for group in 0..<groups {
      for out in 0..<width {
        for channel in 0..<depth {
          let from = ((group * width + out) * depth + channel) * taps
          let to = ((group * depth + channel) * width + out) * taps
          for tap in 0..<taps { result[to + taps - 1 - tap] = source[from + tap] }
        }
      }
    }
    return Tensor(shape: [groups * depth, width] + convolution.spatialExtents, elements: result)
  }

  /// Linear layers: all positions and copies are rows.
  private func addRows(_ gradient: Tensor<Float>, _ input: Tensor<Float>, to result: inout [Float]) {
    let (outputs, inputs, depth) = (convolution.outputsPerCopy, convolution.inputsPerCopy, convolution.kernelShape[1])
    let width = outputs / convolution.groups
    let rows = gradient.count / max(1, outputs)
    for group in 0..<convolution.groups {
      BLAS.gemm(
        true, false, m: width, n: depth, k: rows, a: gradient.elements, aOffset: group * width, lda: outputs,
        b: input.elements, bOffset: group * depth, ldb: inputs, c: &result, cOffset: group * width * depth, ldc: depth)
    }
  }

  /// Output gradients (out x positions) times patches (positions x in * taps).
  private func addPatches(
    _ gradient: Tensor<Float>, _ input: Tensor<Float>, _ geometry: Geometry, to result: inout [Float]
  ) {
    let (groups, outputs) = (convolution.groups, convolution.outputsPerCopy)
    let width = outputs / groups
    let channels = convolution.kernelShape[1]
    let depth = channels * convolution.tapCount
    let positions = geometry.output.count
    let isDirect = geometry.isPointwise
    let tile = max(1, min(positions, 4 * patchTileElements / max(1, depth)))
    var buffer = [Float](repeating: 0, count: isDirect ? 0 : depth * tile)
    let patches = ChannelsFirstPatches(geometry: geometry, channels: channels)
    for image in 0..<gradient.shape[0] {
      for group in 0..<groups {
        let source = (image * groups + group) * channels * geometry.input.count
        let first = (image * outputs + group * width) * positions
        for start in stride(from: 0, to: positions, by: tile) {
          let range = start..<min(start + tile, positions)
          func multiply(_ patches: [Float], _ offset: Int, _ leading: Int) {
            BLAS.gemm(
              false, true, m: width, n: depth, k: range.count, a: gradient.elements, aOffset: first + start,
              lda: positions, b: patches, bOffset: offset, ldb: leading, beta: 1, c: &result,
              cOffset: group * width * depth, ldc: depth)
          }
          if isDirect {
            multiply(input.elements, source + start, positions)
          } else {
            var span = buffer.mutableSpan
            patches.fill(range, from: input.elements.span, at: source, into: &span)
            multiply(buffer, 0, range.count)
          }
        }
      }
    }
  }

  /// One input channel for each output channel: with the border put round a plane and the output's gradient spread to the same grid, each
  /// tap's gradient is one product of two lines.
  private func addPlanes(
    _ gradient: Tensor<Float>, _ input: Tensor<Float>, _ g: Geometry, to result: inout [Float]
  ) {
    let grid = PaddedPlane(g)
    let (outputs, groups, taps) = (convolution.outputsPerCopy, convolution.groups, convolution.tapCount)
    let multiplier = outputs / groups
    var plane = grid.empty
    var spread = grid.emptyOutputs
    let shifts = grid.shifts
    for image in 0..<gradient.shape[0] {
      for channel in 0..<groups {
        var planeSpan = plane.mutableSpan
        grid.fill(&planeSpan, from: input.elements.span, at: (image * groups + channel) * g.input.count)
        for output in channel * multiplier..<(channel + 1) * multiplier {
          var spreadSpan = spread.mutableSpan
          grid.spread(&spreadSpan, from: gradient.elements.span, at: (image * outputs + output) * g.output.count)
          for tap in 0..<taps {
            result[output * taps + tap] += grid.product(spread.span, plane.span, at: shifts[tap])
          }
        }
      }
    }
  }

  /// (batch * copies, channels of one copy, spatial...).
  private func folded(_ value: Tensor<Float>) -> Tensor<Float> {
    let rank = value.order
    let first = layout == .channelsFirst ? value : value.permuted([0, rank - 1] + Array(1..<rank - 1))
    return first.reshaped([first.shape[0] * convolution.batch, first.shape[1] / convolution.batch] + first.shape[2...])
  }

  private func foldedShape(_ shape: [Int]) -> [Int] {
    let rank = shape.count
    let first = layout == .channelsFirst ? shape : [shape[0], shape[rank - 1]] + shape[1..<rank - 1]
    return [first[0] * convolution.batch, first[1] / convolution.batch] + first[2...]
  }

  private func unfolded(_ value: Tensor<Float>, _ shape: [Int]) -> Tensor<Float> {
    guard layout == .channelsLast else { return value.reshaped(shape) }
    let rank = shape.count
    return value.reshaped([shape[0], shape[rank - 1]] + shape[1..<rank - 1])
      .permuted([0] + Array(2..<rank) + [1])
  }
}
