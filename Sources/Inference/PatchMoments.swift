import Basics
import LinearAlgebra
import ModelGraph
import TensorCore

/// The second moment of what a convolution or a linear layer sees: E[x x^T] over all samples and output positions, x the input patch in
/// the kernel's order (in, spatial...), borders included.
///
/// With outputs that the layer should give, t, also E[t x^T]: all that a least-squares refit asks for. Batches are multiplied in single
/// precision and added up in double.
public struct PatchMoments: Sendable {
  private let convolution: Convolution
  private let layout: ChannelLayout
  /// Every so manieth tile of positions counts, where there are more than enough.
  private let stride: Int
  /// E[x x^T] times `count`, in the order in which patches are filled.
  private var own: Sums
  /// E[t x^T] times `count`.
  private var cross: Sums
  /// Output positions so far.
  public private(set) var count = 0

  /// A matrix of products with the sums of its rows' variables.
  private struct Sums: Sendable {
    var products: [Double]
    var sum: [Double]

    init(rows: Int, columns: Int) {
      products = Array(repeating: 0, count: rows * columns)
      sum = Array(repeating: 0, count: rows)
    }

    mutating func add(_ other: Sums) {
      for i in other.products.indices { products[i] += other.products[i] }
      for i in other.sum.indices { sum[i] += other.sum[i] }
    }
  }

  private var patch: Int { convolution.kernelShape.dropFirst().reduce(1, *) }
  private var outputs: Int { convolution.kernelShape[0] }

  /// - Parameter stride: every so manieth tile of positions counts.
  /// - Precondition: the convolution has one group and one copy of its weights.
  public init(_ convolution: Convolution, layout: ChannelLayout, stride: Int = 1) {
    precondition(convolution.groups == 1 && convolution.batch == 1, "moments are taken of whole patches")
    self.convolution = convolution
    self.layout = layout
    self.stride = max(1, stride)
    let patch = convolution.kernelShape.dropFirst().reduce(1, *)
    own = Sums(rows: patch, columns: patch)
    cross = Sums(rows: convolution.kernelShape[0], columns: patch)
  }

  /// Adds the inputs of some samples.
  ///
  /// - Parameter outputs: what the layer should give for these, in the shape of its output.
  /// - Throws: `Failure` where the shape does not fit the layer.
  public mutating func add(_ input: Tensor<Float>, outputs wanted: Tensor<Float>? = nil) throws {
    var ownSum = [Float](repeating: 0, count: patch * patch)
    var crossSum = [Float](repeating: 0, count: wanted == nil ? 0 : outputs * patch)
    let rows = try PatchRows(convolution, layout, inputShape: input.shape)
    for tile in rows.tiles where tile.number % stride == 0 {
      let x = rows.fill(tile, from: input)
      rows.addProduct(x, width: patch, x, tile, to: &ownSum)
      rows.addSum(x, width: patch, tile, to: &own.sum)
      if let wanted {
        let t = rows.outputs(tile, from: wanted, width: outputs)
        rows.addProduct(t, width: outputs, x, tile, to: &crossSum)
        rows.addSum(t, width: outputs, tile, to: &cross.sum)
      }
      count += tile.positions.count
    }
    for i in ownSum.indices { own.products[i] += Double(ownSum[i]) }
    for i in crossSum.indices { cross.products[i] += Double(crossSum[i]) }
  }

  /// Adds what was added to another one of the same layer.
  public mutating func add(_ other: PatchMoments) {
    own.add(other.own)
    cross.add(other.cross)
    count += other.count
  }

  /// E[x x^T]: (patch x patch).
  public var second: Tensor<Double> {
    let matrix = mean(own.products, [patch, patch])
    guard let (taps, channels) = order else { return matrix }
    return matrix.reshaped([taps, channels, taps, channels]).permuted([1, 0, 3, 2]).reshaped([patch, patch])
  }

  /// E[t x^T]: (out x patch).
  public var crossing: Tensor<Double> { ordered(mean(cross.products, [outputs, patch])) }

  /// E[x]: (patch).
  public var inputMean: [Double] { ordered(mean(own.sum, [1, patch])).elements }

  /// E[t]: (out).
  public var outputMean: [Double] { mean(cross.sum, [outputs]).elements }

  /// Where patches are filled tap by tap.
  private var order: (taps: Int, channels: Int)? {
    PatchRows.isTapMajor(convolution, layout) ? (convolution.tapCount, convolution.kernelShape[1]) : nil
  }

  private func mean(_ sum: [Double], _ shape: [Int]) -> Tensor<Double> {
    Tensor(shape: shape, elements: sum.map { count > 0 ? $0 / Double(count) : 0 })
  }

  /// Brings the columns into the order (in, spatial...).
  private func ordered(_ rows: Tensor<Double>) -> Tensor<Double> {
    guard let (taps, channels) = order else { return rows }
    return rows.reshaped([rows.shape[0], taps, channels]).permuted([0, 2, 1]).reshaped(rows.shape)
  }
}

/// Patches as a matrix, tile by tile: positions x (tap, channel) for channels last, (channel, tap) x positions for channels first.
private struct PatchRows {
  struct Tile {
    let number: Int
    let positions: Range<Int>
    let image: Int
  }

  let tiles: [Tile]
  private let patch: Int
  private let kind: Kind

  private enum Kind {
    case last(ChannelsLastPatches)
    case first(ChannelsFirstPatches, planeSize: Int)
    case rows
  }

  /// Elements of a tile.
  private static let tileElements = 1 << 20

  static func isTapMajor(_ convolution: Convolution, _ layout: ChannelLayout) -> Bool {
    convolution.spatialOrder > 0 && layout == .channelsLast
  }

  init(_ convolution: Convolution, _ layout: ChannelLayout, inputShape: [Int]) throws {
    patch = convolution.kernelShape.dropFirst().reduce(1, *)
    let perTile = max(1, Self.tileElements / max(1, patch))
    func cut(_ count: Int) -> [Tile] {
      stride(from: 0, to: count, by: perTile).enumerated().map {
        Tile(number: $0, positions: $1..<min($1 + perTile, count), image: 0)
      }
    }
    guard convolution.spatialOrder > 0 else {
      kind = .rows
      tiles = cut(inputShape.reduce(1, *) / max(1, patch))
      return
    }
    let reference = TensorReference("")
    let operation = Operation.convolution(convolution, layout: layout, kernel: reference, bias: nil)
    guard let output = try operation.outputShape(of: [inputShape.map { $0 }])?.compactMap(\.self) else {
      throw Failure("", "cannot be measured", "the shape of its output is not known")
    }
    let geometry = convolution.geometry(inputShape, output, layout)
    if layout == .channelsLast {
      kind = .last(ChannelsLastPatches(geometry: geometry, convolution: convolution))
      tiles = cut(inputShape[0] * geometry.output.count)
    } else {
      kind = .first(
        ChannelsFirstPatches(geometry: geometry, channels: convolution.kernelShape[1]),
        planeSize: inputShape.dropFirst().reduce(1, *))
      let positions = geometry.output.count
      let starts = Array(stride(from: 0, to: positions, by: perTile))
      tiles = (0..<inputShape[0]).flatMap { image in
        starts.map { Tile(number: image, positions: $0..<min($0 + perTile, positions), image: image) }
      }
    }
  }

  func fill(_ tile: Tile, from input: Tensor<Float>) -> [Float] {
    var matrix = [Float](repeating: 0, count: tile.positions.count * patch)
    let source = input.elements.span
    var target = matrix.mutableSpan
    switch kind {
    case .rows:
      return Array(input.elements[tile.positions.lowerBound * patch..<tile.positions.upperBound * patch])
    case .last(let patches): patches.fill(tile.positions, group: 0, from: source, into: &target)
    case .first(let patches, let planeSize):
      patches.fill(tile.positions, from: source, at: tile.image * planeSize, into: &target)
    }
    return matrix
  }

  /// The outputs at the positions of a tile, in the order of patches.
  func outputs(_ tile: Tile, from outputs: Tensor<Float>, width: Int) -> [Float] {
    guard case .first = kind else {
      return Array(outputs.elements[tile.positions.lowerBound * width..<tile.positions.upperBound * width])
    }
    let plane = outputs.count / max(1, outputs.shape[0] * width)
    return (0..<width).flatMap { channel -> ArraySlice<Float> in
      let start = (tile.image * width + channel) * plane
      return outputs.elements[start + tile.positions.lowerBound..<start + tile.positions.upperBound]
    }
  }

  /// Adds up every variable over the positions of a tile.
  func addSum(_ x: [Float], width: Int, _ tile: Tile, to sum: inout [Double]) {
    let count = tile.positions.count
    if case .first = kind {
      for i in 0..<width {
        var total: Float = 0
        for position in i * count..<(i + 1) * count { total += x[position] }
        sum[i] += Double(total)
      }
    } else {
      var total = [Float](repeating: 0, count: width)
      for position in 0..<count { for i in 0..<width { total[i] += x[position * width + i] } }
      for i in 0..<width { sum[i] += Double(total[i]) }
    }
  }

  /// Adds A^T X over the positions of a tile, X patches.
  func addProduct(_ a: [Float], width: Int, _ x: [Float], _ tile: Tile, to sum: inout [Float]) {
    let count = tile.positions.count
    if case .first = kind {
      BLAS.gemm(
        false, true, m: width, n: patch, k: count, a: a, lda: count, b: x, ldb: count, beta: 1, c: &sum, ldc: patch)
    } else {
      BLAS.gemm(
        true, false, m: width, n: patch, k: count, a: a, lda: width, b: x, ldb: patch, beta: 1, c: &sum, ldc: patch)
    }
  }
}
