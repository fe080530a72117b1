import LinearAlgebra
import ModelGraph
import TensorCore

/// Convolution one kernel row after the other, for two spatial axes and steps of one line.
///
/// What a kernel row sees of an input line, (column, tap, channel), is the same for every kernel row: the lines are written
/// once, and each kernel row multiplies them from its own line on. Patches of the whole window would be written as often as
/// the kernel has rows.
struct RowwiseConvolution: FinishingComputation {
  let convolution: Convolution
  /// The kernel as it is multiplied: (groups, taps, in / groups, out / groups).
  let weights: [Float]
  var finish: Finish

  /// The lines of a tile; they should stay in the second-level cache.
  private static let tileElements = 64 * 1024
  /// Where what one line reaches for takes more, as with a large dilation of many channels, patches of the whole window take less.
  private static let mostElements = 1 << 20

  static func suits(_ convolution: Convolution) -> Bool {
    convolution.spatialOrder == 2 && convolution.spatialExtents[0] > 1 && convolution.window.stride[0] == 1
  }

  init(_ convolution: Convolution, kernel: Tensor<Float>, finish: Finish) {
    self.convolution = convolution
    self.finish = finish
    weights = convolution.tapMajor(kernel)
  }

  func channelAxis(rank: Int) -> Int { rank - 1 }

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let input = inputs[0]
    let geometry = convolution.geometry(input.shape, outputShape, .channelsLast)
    let patches = ChannelsLastPatches(geometry: geometry, convolution: convolution)
    let outputs = convolution.outputsPerCopy
    let width = outputs / convolution.groups
    let depth = geometry.kernel.width * convolution.kernelShape[1]
    let rowsPerLine = geometry.output.width * convolution.batch
    let lineLength = rowsPerLine * depth
    let reach = (geometry.kernel.height - 1) * geometry.dilation.height
    if (1 + reach) * lineLength > Self.mostElements {
      return try ChannelsLastConvolution(convolution, weights: weights, finish: finish).run(
        &inputs, outputShape: outputShape)
    }
    let height = geometry.output.height
    let tile = max(1, min(height, Self.tileElements / max(1, lineLength) - reach))
    var buffer = [Float](repeating: 0, count: (tile + reach) * lineLength)

    let elements = [Float](count: outputShape.reduce(1, *)) { target in
      for image in 0..<input.shape[0] {
        for first in stride(from: 0, to: height, by: tile) {
          let lines = min(tile, height - first)
          let row = (image * height + first) * rowsPerLine
          for group in 0..<convolution.groups {
            var span = buffer.mutableSpan
            for line in 0..<lines + reach {
              let place = first + line - geometry.before.height
              patches.fill(
                0..<geometry.output.width,
                line: (0..<geometry.input.height).contains(place)
                  ? image * geometry.input.height + place : nil,
                group: group, from: input.elements.span, into: &span, at: line * lineLength,
                rowLength: depth)
            }
            for kernelRow in 0..<geometry.kernel.height {
              BLAS.gemm(
                false, false, m: lines * rowsPerLine, n: width, k: depth, a: buffer.span,
                aOffset: kernelRow * geometry.dilation.height * lineLength, lda: depth,
                b: weights.span,
                bOffset: (group * geometry.kernel.height + kernelRow) * depth * width, ldb: width,
                beta: kernelRow == 0 ? 0 : 1, c: &target,
                cOffset: row * outputs + group * width, ldc: outputs)
            }
          }
          target.withPart(row * outputs..<(row + lines * rowsPerLine) * outputs) {
            finish.apply(toRows: &$0)
          }
        }
      }
    }
    return Value(shape: outputShape, elements: elements)
  }
}
