import Basics
import LinearAlgebra
import ModelGraph
import TensorCore

/// The second moments of what a convolution or a linear layer sees: E[x x^T] over all samples and output positions, x the input patch
/// in the kernel's order (in, spatial...), borders included.
///
/// With the inputs of the same layer in a changed network, y, also E[x y^T] and E[y y^T]: all that a least-squares refit asks for.
/// Batches are multiplied in single precision and added up in double.
public struct PatchMoments: Sendable {
  private let convolution: Convolution
  private let layout: ChannelLayout
  /// Positions that are left out between two that count, where there are more than enough.
  private let stride: Int
  /// E[x x^T], or E[y y^T], times `count`; in the order in which patches are filled.
  private var own: [Double]
  private var cross: [Double]
  /// The sums of x and of y.
  private var inputSum: [Double]
  private var changedSum: [Double]
  /// Output positions so far.
  public private(set) var count = 0

  public var patch: Int { convolution.kernelShape.dropFirst().reduce(1, *) }

  /// - Parameter stride: every so manieth image's positions count.
  /// - Precondition: the convolution has one group and one copy of its weights.
  public init(_ convolution: Convolution, layout: ChannelLayout, stride: Int = 1) {
    precondition(convolution.groups == 1 && convolution.batch == 1, "moments are taken of whole patches")
    self.convolution = convolution
    self.layout = layout
    self.stride = max(1, stride)
    own = []
    cross = []
    inputSum = []
    changedSum = []
  }

  /// Adds the inputs of some samples.
  ///
  /// - Parameter changed: those of the changed network for the same samples; nil where there is none.
  /// - Throws: `Failure` where the shape does not fit the layer.
  public mutating func add(_ input: Tensor<Float>, changed: Tensor<Float>? = nil) throws {
    let size = patch * patch
    if own.isEmpty {
      own = Array(repeating: 0, count: size)
      inputSum = Array(repeating: 0, count: patch)
      changedSum = inputSum
    }
    if changed != nil, cross.isEmpty { cross = Array(repeating: 0, count: size) }
    var ownSum = [Float](repeating: 0, count: size)
    var crossSum = [Float](repeating: 0, count: changed == nil ? 0 : size)
    let rows = try PatchRows(convolution, layout, inputShape: input.shape)
    for tile in rows.tiles where tile.number % stride == 0 {
      let x = rows.fill(tile, from: input)
      let y = changed.map { rows.fill(tile, from: $0) } ?? x
      rows.product(y, y, tile, into: &ownSum)
      if changed != nil { rows.product(x, y, tile, into: &crossSum) }
      rows.sum(x, tile, into: &inputSum)
      rows.sum(y, tile, into: &changedSum)
      count += tile.positions.count
    }
    for i in ownSum.indices { own[i] += Double(ownSum[i]) }
    for i in crossSum.indices { cross[i] += Double(crossSum[i]) }
  }

  /// Adds what was added to another one of the same layer.
  public mutating func add(_ other: PatchMoments) {
    if own.isEmpty {
      own = Array(repeating: 0, count: other.own.count)
      inputSum = Array(repeating: 0, count: other.inputSum.count)
      changedSum = inputSum
    }
    if cross.isEmpty { cross = Array(repeating: 0, count: other.cross.count) }
    for i in other.own.indices { own[i] += other.own[i] }
    for i in other.cross.indices { cross[i] += other.cross[i] }
    for i in other.inputSum.indices {
      inputSum[i] += other.inputSum[i]
      changedSum[i] += other.changedSum[i]
    }
    count += other.count
  }

  /// E[x x^T], or E[y y^T] where there was a changed network: (patch x patch).
  public var second: Tensor<Double> { ordered(own) }

  /// E[x y^T]: (patch x patch).
  public var crossing: Tensor<Double> { ordered(cross) }

  /// E[x], and E[y], which is the same where there was no changed network: (patch).
  public var means: (input: [Double], changed: [Double]) { (ordered(mean: inputSum), ordered(mean: changedSum)) }

  private func ordered(mean sum: [Double]) -> [Double] {
    guard !sum.isEmpty, count > 0 else { return Array(repeating: 0, count: patch) }
    let mean = sum.map { $0 / Double(count) }
    guard PatchRows.isTapMajor(convolution, layout) else { return mean }
    return Tensor(shape: [convolution.tapCount, convolution.kernelShape[1]], elements: mean).permuted([1, 0]).elements
  }

  /// Brings a sum into the order (in, spatial...) and divides it by the count.
  private func ordered(_ sum: [Double]) -> Tensor<Double> {
    let patch = patch
    guard !sum.isEmpty, count > 0 else { return Tensor(zeros: [patch, patch]) }
    let mean = sum.map { $0 / Double(count) }
    guard PatchRows.isTapMajor(convolution, layout) else { return Tensor(shape: [patch, patch], elements: mean) }
    let (channels, taps) = (convolution.kernelShape[1], convolution.tapCount)
    return Tensor(shape: [taps, channels, taps, channels], elements: mean).permuted([1, 0, 3, 2])
      .reshaped([patch, patch])
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

  /// Adds the patches of a tile.
  func sum(_ x: [Float], _ tile: Tile, into sum: inout [Double]) {
    let count = tile.positions.count
    if case .first = kind {
      for i in 0..<patch {
        var total: Float = 0
        for position in i * count..<(i + 1) * count { total += x[position] }
        sum[i] += Double(total)
      }
    } else {
      var total = [Float](repeating: 0, count: patch)
      for position in 0..<count { for i in 0..<patch { total[i] += x[position * patch + i] } }
      for i in 0..<patch { sum[i] += Double(total[i]) }
    }
  }

  /// Adds X^T Y over the positions of a tile.
  func product(_ x: [Float], _ y: [Float], _ tile: Tile, into sum: inout [Float]) {
    let count = tile.positions.count
    if case .first = kind {
      BLAS.gemm(
        false, true, m: patch, n: patch, k: count, a: x, lda: count, b: y, ldb: count, beta: 1, c: &sum, ldc: patch)
    } else {
      BLAS.gemm(
        true, false, m: patch, n: patch, k: count, a: x, lda: patch, b: y, ldb: patch, beta: 1, c: &sum, ldc: patch)
    }
  }
}
