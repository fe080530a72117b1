import LinearAlgebra
import ModelGraph
import TensorCore

/// Convolution one kernel row after the other with channels first, for two spatial axes and steps of one line.
///
/// What a kernel row sees, (channel, tap) over (line, column), is written once for all lines, the border included; each kernel
/// row multiplies it from its own line on, as in `RowwiseConvolution`.
struct ChannelsFirstRowwiseConvolution: FinishingComputation {
  let convolution: Convolution
  /// The kernel as it is multiplied: (kernel row, out, in / groups * taps of a row).
  let weights: [Float]
  var finish: Finish

  /// The lines of a tile; they should stay in the second-level cache.
  private static let tileElements = 64 * 1024
  /// Where what one line reaches for takes more, as with a large dilation of many channels, these are taken some at a time.
  private static let mostElements = 1 << 20

  init(_ convolution: Convolution, kernel: Tensor<Float>, finish: Finish) {
    self.convolution = convolution
    self.finish = finish
    weights = kernel.permuted([2, 0, 1, 3]).elements
  }

  func channelAxis(rank: Int) -> Int { 1 }

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let input = inputs[0]
    let g = convolution.geometry(input.shape, outputShape, .channelsFirst)
    let (copies, groups, outputs) = (convolution.batch, convolution.groups, convolution.outputsPerCopy)
    let channels = convolution.kernelShape[1]
    let width = outputs / groups
    let (height, columns) = (g.output.height, g.output.width)
    let reach = (g.kernel.height - 1) * g.dilation.height
    let block = max(1, min(channels, Self.mostElements / max(1, g.kernel.width * (1 + reach) * columns)))
    let depth = channels * g.kernel.width
    let tile = max(1, min(height, Self.tileElements / max(1, depth * columns) - reach))
    var buffer = [Float](repeating: 0, count: block * g.kernel.width * (tile + reach) * columns)
    let positions = height * columns

    let elements = [Float](count: outputShape.reduce(1, *)) { target in
      for image in 0..<outputShape[0] * copies {
        for first in stride(from: 0, to: height, by: tile) {
          let lines = min(tile, height - first)
          let row = (lines + reach) * columns
          for group in 0..<groups {
            let place = (image * outputs + group * width) * positions + first * columns
            for start in stride(from: 0, to: channels, by: block) {
              let count = min(block, channels - start)
              var span = buffer.mutableSpan
              fill(
                first..<first + lines + reach, g, channels: count, from: input.elements.span,
                at: ((image * groups + group) * channels + start) * g.input.count, into: &span)
              for kernelRow in 0..<g.kernel.height {
                BLAS.gemm(
                  false, false, m: width, n: lines * columns, k: count * g.kernel.width, a: weights.span,
                  aOffset: (kernelRow * outputs + group * width) * depth + start * g.kernel.width, lda: depth,
                  b: buffer.span, bOffset: kernelRow * g.dilation.height * columns, ldb: row,
                  beta: start == 0 && kernelRow == 0 ? 0 : 1, c: &target, cOffset: place, ldc: positions)
              }
            }
            for channel in 0..<width {
              let start = place + channel * positions
              target.withPart(start..<start + lines * columns) {
                finish.apply(to: &$0, channel: (image * outputs + group * width + channel) % (copies * outputs))
              }
            }
          }
        }
      }
    }
    return Value(shape: outputShape, elements: elements)
  }

  /// Rows (channel, tap) over some lines of the padded input.
  private func fill(
    _ lines: Range<Int>, _ g: Geometry, channels: Int, from source: Span<Float>, at offset: Int,
    into target: inout MutableSpan<Float>
  ) {
    let columns = g.output.width
    var to = 0
    for channel in 0..<channels {
      let plane = offset + channel * g.input.count
      for tap in 0..<g.kernel.width {
        let inside = Geometry.inside(
          tap: tap, input: g.input.width, output: columns, stride: g.stride.width, dilation: g.dilation.width,
          before: g.before.width)
        let shift = tap * g.dilation.width - g.before.width
        let existing = lines.clamped(to: g.before.height..<g.before.height + g.input.height)
        let head = (existing.isEmpty ? lines.count : existing.lowerBound - lines.lowerBound) * columns
        fillRun(&target, at: to, count: head)
        if g.stride.width == 1, columns == g.input.width, !inside.isEmpty {
          // All lines at once, shifted; what comes from a neighbouring line is border.
          let from = plane + (existing.lowerBound - g.before.height) * columns
          let count = existing.count * columns
          copyRun(
            source, at: from + max(shift, 0), to: &target, at: to + head + max(-shift, 0),
            count: max(0, count - abs(shift)))
          for line in 0..<existing.count {
            let start = to + head + line * columns
            for i in 0..<inside.lowerBound { target[start + i] = 0 }
            for i in inside.upperBound..<columns { target[start + i] = 0 }
          }
        } else {
          for (line, place) in existing.enumerated() {
            let start = to + head + line * columns
            let from = plane + (place - g.before.height) * g.input.width + shift
            fillRun(&target, at: start, count: inside.lowerBound)
            for i in inside { target[start + i] = source[from + i * g.stride.width] }
            fillRun(&target, at: start + inside.upperBound, count: columns - inside.upperBound)
          }
        }
        let end = head + existing.count * columns
        to += lines.count * columns
        fillRun(&target, at: to - lines.count * columns + end, count: lines.count * columns - end)
      }
    }
  }
}
