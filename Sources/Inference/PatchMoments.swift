import LinearAlgebra
import ModelGraph
import TensorCore

/// The second moment of what a convolution or a linear layer sees: E[x x^T] over all samples and output positions, x the input patch in
/// the kernel's order (in, spatial...), borders included.
///
/// With outputs that the layer should give, t, also E[t x^T]: all that a least-squares refit asks for. Batches are multiplied in single
/// precision and added up in double.
package struct PatchMoments: Sendable {
  private let convolution: Convolution
  private let layout: ChannelLayout
  /// One tile of positions in `stride` counts: where there are more than enough, the others are passed over.
  private let stride: Int
  /// The sums of the patches, in the order in which they are filled.
  private var own: MomentSums
  /// The sums of the outputs with the patches.
  private var cross: MomentSums
  /// Output positions so far.
  package var count: Int { own.count }

  private var patch: Int { convolution.kernelShape.dropFirst().reduce(1, *) }
  private var outputs: Int { convolution.kernelShape[0] }

  /// The moments of a convolution before any input.
  ///
  /// - Parameter stride: one tile of positions in this many counts.
  /// - Precondition: the convolution has one group and one copy of its weights.
  package init(_ convolution: Convolution, layout: ChannelLayout, stride: Int = 1) {
    precondition(convolution.groups == 1 && convolution.batch == 1, "moments are taken of whole patches")
    self.convolution = convolution
    self.layout = layout
    self.stride = max(1, stride)
    let patch = convolution.kernelShape.dropFirst().reduce(1, *)
    own = MomentSums(rows: patch, columns: patch)
    cross = MomentSums(rows: convolution.kernelShape[0], columns: patch)
  }

  /// Adds the inputs of some samples.
  ///
  /// - Parameter outputs: what the layer should give for these, in the shape of its output.
  /// - Throws: `Failure` where the shape does not fit the layer.
  package mutating func add(_ input: Tensor<Float>, outputs wanted: Tensor<Float>? = nil) throws {
    var ownSum = [Float](repeating: 0, count: patch * patch)
    var crossSum = [Float](repeating: 0, count: wanted == nil ? 0 : outputs * patch)
    let rows = try PatchRows(convolution, layout, inputShape: input.shape)
    for tile in rows.tiles where tile.number % stride == 0 {
      let x = rows.fill(tile, from: input)
      rows.addProduct(x, width: patch, x, tile, to: &ownSum)
      own.add(sums: rows.sums(x, width: patch, tile), count: tile.positions.count)
      if let wanted {
        let t = rows.outputs(tile, from: wanted, width: outputs)
        rows.addProduct(t, width: outputs, x, tile, to: &crossSum)
        cross.add(sums: rows.sums(t, width: outputs, tile), count: tile.positions.count)
      }
    }
    own.add(products: ownSum)
    if wanted != nil { cross.add(products: crossSum) }
  }

  /// Adds what was added to another one of the same layer.
  package mutating func add(_ other: PatchMoments) {
    own.add(other.own)
    cross.add(other.cross)
  }

  /// The moments of the patches alone.
  package var moments: Moments { Moments(mean: inputMean, second: second, count: count) }

  /// E[x x^T]: (patch x patch).
  package var second: Tensor<Double> {
    let matrix = own.meanProducts
    guard let (taps, channels) = order else { return matrix }
    return matrix.reshaped([taps, channels, taps, channels]).permuted([1, 0, 3, 2]).reshaped([patch, patch])
  }

  /// E[t x^T]: (out x patch).
  package var crossing: Tensor<Double> { ordered(cross.meanProducts) }

  /// The mean of the input patches, E[x]: (patch).
  package var inputMean: [Double] { ordered(Tensor(shape: [1, patch], elements: own.mean)).elements }

  /// The mean of the targets, E[t]: (out).
  package var outputMean: [Double] { cross.mean }

  /// Where patches are filled tap by tap.
  private var order: (taps: Int, channels: Int)? {
    PatchRows.isTapMajor(convolution, layout) ? (convolution.tapCount, convolution.kernelShape[1]) : nil
  }

  /// Brings the columns into the order (in, spatial...).
  private func ordered(_ rows: Tensor<Double>) -> Tensor<Double> {
    guard let (taps, channels) = order else { return rows }
    return rows.reshaped([rows.shape[0], taps, channels]).permuted([0, 2, 1]).reshaped(rows.shape)
  }
}
