import Basics
import LinearAlgebra
import ModelGraph
import TensorCore

/// The gradient of a convolution: every input position adds a patch to the output.
///
/// Runs channels last; the other layout is brought there and back.
struct TransposedConvolutionComputation: FinishingComputation {
  let convolution: TransposedConvolution
  /// The kernel as it is multiplied: (groups, in / groups, taps * out / groups).
  let weights: [Float]
  var finish: Finish

  init(_ convolution: TransposedConvolution, kernel: Tensor<Float>, bias: Tensor<Float>?) throws {
    guard kernel.shape == convolution.kernelShape else {
      throw misfit("the kernel has the shape \(kernel.shape)", "expected \(convolution.kernelShape)")
    }
    if let bias, bias.count != convolution.outputChannels {
      throw misfit("\(bias.count) biases", "expected \(convolution.outputChannels)")
    }
    guard kernel.order <= 5 else {
      throw Failure("", "cannot be run", "it has \(kernel.order - 2) spatial axes", remedy: "expected at most 3")
    }
    self.convolution = convolution
    let groups = convolution.groups
    weights =
      kernel
      .reshaped([
        groups, kernel.shape[0] / groups, kernel.shape[1], convolution.spatialExtents.reduce(1, *),
      ])
      .permuted([0, 1, 3, 2]).elements
    finish = Finish(bias.map { ChannelAffine(scale: nil, offset: $0.elements) })
  }

  func channelAxis(rank: Int) -> Int { convolution.layout.channelAxis(rank: rank) }

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let rank = outputShape.count
    guard convolution.layout == .channelsFirst else { return try runChannelsLast(inputs[0], outputShape) }
    let toLast = [0] + Array(2..<rank) + [1]
    let toFirst = [0, rank - 1] + Array(1..<rank - 1)
    return try runChannelsLast(inputs[0].permuted(toLast), toLast.map { outputShape[$0] }).permuted(toFirst)
  }

  private func runChannelsLast(_ input: Value, _ outputShape: [Int]) throws -> Value {
    let spatial = 1..<outputShape.count - 1
    // The convolution whose gradient this is: from our output to our input.
    let geometry = Geometry(
      input: Array(outputShape[spatial]), output: Array(input.shape[spatial]),
      kernel: convolution.spatialExtents, window: convolution.window(input: Array(input.shape[spatial])))
    let groups = convolution.groups
    let depth = convolution.kernelShape[0] / groups
    let width = convolution.kernelShape[1]
    let columns = geometry.kernel.count * width
    let channels = convolution.outputChannels
    let positions = input.elements.count / max(1, convolution.kernelShape[0])
    let tile = max(1, min(positions, patchTileElements / max(1, columns)))
    var value = Value(zeros: outputShape)
    var buffer = [Float](repeating: 0, count: tile * columns)
    for group in 0..<groups {
      for start in stride(from: 0, to: positions, by: tile) {
        let range = start..<min(start + tile, positions)
        var product = buffer.mutableSpan
        BLAS.gemm(
          false, false, m: range.count, n: columns, k: depth, a: input.elements.span,
          aOffset: start * groups * depth + group * depth, lda: groups * depth, b: weights.span,
          bOffset: group * depth * columns, ldb: columns, c: &product, ldc: columns)
        let patches = buffer.span
        var target = value.elements.mutableSpan
        var row = 0
        geometry.forEachStretch(range) { stretch in
          geometry.forEachTap(stretch) { tap, column, place in
            let from = (row + column) * columns + tap * width
            let to = place * channels + group * width
            for i in 0..<width { target[to + i] += patches[from + i] }
          }
          row += stretch.columns.count
        }
      }
    }
    try finish.apply(to: &value, axis: outputShape.count - 1)
    return value
  }
}
