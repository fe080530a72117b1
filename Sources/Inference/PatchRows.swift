import Basics
import LinearAlgebra
import ModelGraph
import TensorCore

/// Patches as a matrix, tile by tile: positions x (tap, channel) for channels last, (channel, tap) x positions for channels first.
struct PatchRows {
  /// Some neighbouring positions.
  struct Tile {
    /// The tile's number over all positions; with channels first, the number of the image.
    let number: Int
    /// The output positions, over all images or within one.
    let positions: Range<Int>
    /// The image that the positions belong to, with channels first.
    let image: Int
  }

  /// All tiles of a batch, in their order.
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

  /// Whether the columns are in the order (tap, channel).
  static func isTapMajor(_ convolution: Convolution, _ layout: ChannelLayout) -> Bool {
    convolution.spatialOrder > 0 && layout == .channelsLast
  }

  /// - Throws: `Failure` with an empty subject where the convolution does not fit the input.
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

  /// The patches of a tile.
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

  /// The sum of every variable over the positions of a tile.
  func sums(_ x: [Float], width: Int, _ tile: Tile) -> [Float] {
    let count = tile.positions.count
    var sums = [Float](repeating: 0, count: width)
    if case .first = kind {
      for i in 0..<width {
        var total: Float = 0
        for position in i * count..<(i + 1) * count { total += x[position] }
        sums[i] = total
      }
    } else {
      for position in 0..<count { for i in 0..<width { sums[i] += x[position * width + i] } }
    }
    return sums
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
