import Basics
import LinearAlgebra
import ModelGraph
import TensorCore

/// Chooses how a convolution runs and prepares its weights for that.
func convolutionComputation(
  _ convolution: Convolution, _ layout: ChannelLayout, kernel: Tensor<Float>, bias: Tensor<Float>?
) throws -> any Computation {
  guard kernel.shape == convolution.kernelShape else {
    throw misfit("the kernel has the shape \(kernel.shape)", "expected \(convolution.kernelShape)")
  }
  if let bias, bias.count != convolution.outputChannels {
    throw misfit("\(bias.count) biases", "expected \(convolution.outputChannels)")
  }
  guard convolution.spatialOrder <= 3 else {
    throw Failure("", "cannot be run", "it has \(convolution.spatialOrder) spatial axes", remedy: "expected at most 3")
  }
  let finish = Finish(bias.map { ChannelAffine(scale: nil, offset: $0.elements) })
  let isDepthwise = convolution.kernelShape[1] == 1 && convolution.groups > 1
  switch convolution.channelLayout(layout) {
  case .channelsLast:
    if isDepthwise { return DepthwiseConvolution(convolution, kernel: kernel, finish: finish) }
    return RowwiseConvolution.suits(convolution)
      ? RowwiseConvolution(convolution, kernel: kernel, finish: finish)
      : ChannelsLastConvolution(convolution, kernel: kernel, finish: finish)
  case .channelsFirst:
    if isDepthwise { return PlanewiseConvolution(convolution: convolution, kernel: kernel.elements, finish: finish) }
    return RowwiseConvolution.suits(convolution)
      ? ChannelsFirstRowwiseConvolution(convolution, kernel: kernel, finish: finish)
      : ChannelsFirstConvolution(convolution, kernel: kernel, finish: finish)
  }
}

/// A tile of patches should leave half of a small second-level cache to the weights and the output.
let patchTileElements = 32 * 1024

extension Convolution {
  func geometry(_ input: [Int], _ output: [Int], _ layout: ChannelLayout) -> Geometry {
    guard spatialOrder > 0 else {
      // A linear layer: every position is an image of its own.
      return Geometry(input: [], output: [], kernel: [], window: window)
    }
    let axes = layout.spatialAxes(rank: input.count)
    return Geometry(
      input: Array(input[axes]), output: Array(output[axes]), kernel: spatialExtents, window: window)
  }

  /// What one copy of the weight sees and makes.
  var inputsPerCopy: Int { groups * kernelShape[1] }
  var outputsPerCopy: Int { kernelShape[0] }
  var tapCount: Int { spatialExtents.reduce(1, *) }

  /// A kernel as (groups, taps, in / groups, out / groups), the order in which patches hold what it multiplies.
  func tapMajor(_ kernel: Tensor<Float>) -> [Float] {
    kernel.reshaped([groups, outputsPerCopy / groups, kernel.shape[1], tapCount])
      .permuted([0, 3, 2, 1]).elements
  }
}

/// Convolution as patches (positions x taps * channels) times weights (taps * channels x out), tile by tile.
///
/// The channels that `Convolution.batch` repeats the weight over are rows like the positions: (position, copy).
struct ChannelsLastConvolution: FinishingComputation {
  let convolution: Convolution
  /// The kernel as it is multiplied: (groups, taps * in / groups, out / groups); of a linear layer, which can be large, as it is:
  /// (groups, out / groups, in / groups).
  let weights: [Float]
  private var isLinear: Bool { convolution.spatialOrder == 0 }
  var finish: Finish

  init(_ convolution: Convolution, kernel: Tensor<Float>, finish: Finish) {
    self.convolution = convolution
    self.finish = finish
    weights = convolution.spatialOrder == 0 ? kernel.elements : convolution.tapMajor(kernel)
  }

  /// - Parameter weights: as the property, of a layer with spatial axes.
  init(_ convolution: Convolution, weights: [Float], finish: Finish) {
    self.convolution = convolution
    self.finish = finish
    self.weights = weights
  }

  func channelAxis(rank: Int) -> Int { rank - 1 }

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let input = inputs[0]
    let geometry = convolution.geometry(input.shape, outputShape, .channelsLast)
    let copies = convolution.batch
    let outputs = convolution.outputsPerCopy
    let depth = convolution.tapCount * convolution.kernelShape[1]
    let count = outputShape.reduce(1, *)
    let positions = count / max(1, copies * outputs)
    let isDirect = geometry.isPointwise
    let rowElements = copies * (isDirect ? convolution.inputsPerCopy : depth)
    let tile = max(1, min(positions, patchTileElements / max(1, rowElements)))
    let patches = ChannelsLastPatches(geometry: geometry, convolution: convolution)
    var buffer = [Float](repeating: 0, count: isDirect ? 0 : tile * rowElements)
    let elements = [Float](count: count) { target in
      var position = 0
      while position < positions {
        let end = min(position + tile, positions)
        let rows = (end - position) * copies
        for group in 0..<convolution.groups {
          if isDirect {
            multiply(
              group, rows: rows, input.elements.span,
              offset: position * copies * convolution.inputsPerCopy + group * convolution.kernelShape[1],
              leading: convolution.inputsPerCopy, into: &target, row: position * copies)
          } else {
            var span = buffer.mutableSpan
            patches.fill(position..<end, group: group, from: input.elements.span, into: &span)
            multiply(
              group, rows: rows, buffer.span, offset: 0, leading: depth, into: &target,
              row: position * copies)
          }
        }
        target.withPart(position * copies * outputs..<end * copies * outputs) {
          finish.apply(toRows: &$0)
        }
        position = end
      }
    }
    return Value(shape: outputShape, elements: elements)
  }

  private func multiply(
    _ group: Int, rows: Int, _ patches: Span<Float>, offset: Int, leading: Int,
    into target: inout MutableSpan<Float>, row: Int
  ) {
    let outputs = convolution.outputsPerCopy
    let width = outputs / convolution.groups
    let depth = convolution.tapCount * convolution.kernelShape[1]
    BLAS.gemm(
      false, isLinear, m: rows, n: width, k: depth, a: patches, aOffset: offset, lda: leading,
      b: weights.span, bOffset: group * depth * width, ldb: isLinear ? depth : width, c: &target,
      cOffset: row * outputs + group * width, ldc: outputs)
  }
}

/// Convolution as weights (out x in * taps) times patches (in * taps x positions), image by image.
struct ChannelsFirstConvolution: FinishingComputation {
  let convolution: Convolution
  let kernel: [Float]
  var finish: Finish

  init(_ convolution: Convolution, kernel: Tensor<Float>, finish: Finish) {
    self.convolution = convolution
    self.kernel = kernel.elements
    self.finish = finish
  }

  func channelAxis(rank: Int) -> Int { 1 }

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let input = inputs[0]
    let geometry = convolution.geometry(input.shape, outputShape, .channelsFirst)
    let (copies, groups, outputs) = (convolution.batch, convolution.groups, convolution.outputsPerCopy)
    let width = outputs / groups
    let depth = convolution.kernelShape[1] * convolution.tapCount
    let positions = geometry.output.count
    let tile = max(1, min(positions, patchTileElements / max(1, depth)))
    let isDirect = geometry.isPointwise
    var buffer = [Float](repeating: 0, count: isDirect ? 0 : depth * tile)
    let patches = ChannelsFirstPatches(geometry: geometry, channels: convolution.kernelShape[1])
    let elements = [Float](count: outputShape.reduce(1, *)) { target in
      for image in 0..<outputShape[0] * copies {
        for group in 0..<groups {
          let source = (image * groups + group) * convolution.kernelShape[1] * geometry.input.count
          let first = image * outputs + group * width
          for start in stride(from: 0, to: positions, by: tile) {
            let range = start..<min(start + tile, positions)
            if !isDirect {
              var span = buffer.mutableSpan
              patches.fill(range, from: input.elements.span, at: source, into: &span)
            }
            if isDirect {
              multiply(
                group, range.count, input.elements.span, source + start, positions, into: &target,
                first * positions + start, positions)
            } else {
              multiply(
                group, range.count, buffer.span, 0, range.count, into: &target, first * positions + start,
                positions)
            }
            for channel in first..<first + width {
              let place = channel * positions + start
              target.withPart(place..<place + range.count) {
                finish.apply(to: &$0, channel: channel % (copies * outputs))
              }
            }
          }
        }
      }
    }
    return Value(shape: outputShape, elements: elements)
  }

  private func multiply(
    _ group: Int, _ columns: Int, _ patches: Span<Float>, _ offset: Int, _ leading: Int,
    into target: inout MutableSpan<Float>, _ targetOffset: Int, _ targetLeading: Int
  ) {
    let width = convolution.outputsPerCopy / convolution.groups
    let depth = convolution.tapCount * convolution.kernelShape[1]
    BLAS.gemm(
      false, false, m: width, n: columns, k: depth, a: kernel.span, aOffset: group * width * depth,
      lda: depth, b: patches, bOffset: offset, ldb: leading, c: &target, cOffset: targetOffset,
      ldc: targetLeading)
  }
}
