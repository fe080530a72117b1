import Basics
import TensorCore

/// Where a batch of images has its lines and columns.
struct ImageBatch {
  private let height: Int
  private let width: Int
  /// Numbers of one position that lie together.
  private let inner: Int
  private let planesPerImage: Int

  /// Reads the shape of a batch; nil for what has no 4 axes. Channels are the last axis where that is the shorter one.
  init?(_ shape: [Int]) {
    guard shape.count == 4 else { return nil }
    let isLast = shape[3] < shape[1]
    planesPerImage = isLast ? 1 : shape[1]
    (height, width, inner) = isLast ? (shape[1], shape[2], shape[3]) : (shape[2], shape[3], 1)
  }

  /// A rectangle in parts of an image's height and width, whose area is uniform but for what sticks out (CutMix: Yun et al., 2019, section 3.1).
  struct Patch {
    let center: (row: Double, column: Double)
    let side: Double

    init(using generator: inout SplitMix64) {
      center = (generator.nextUniform(), generator.nextUniform())
      side = generator.nextUniform().squareRoot()
    }

    /// The lines or columns that it covers of so many.
    fileprivate func range(around center: Double, of extent: Int) -> Range<Int> {
      let ends = [center - side / 2, center + side / 2].map {
        max(0, min(extent, Int(($0 * Double(extent)).rounded())))
      }
      return ends[0]..<ends[1]
    }
  }

  /// - Returns: the images, each with its patch of the other one in the same place, and the part of it that is its own.
  func pasted(_ patches: [Patch], of others: Tensor<Float>, onto images: Tensor<Float>) -> (Tensor<Float>, [Float]) {
    var result = images.elements
    var parts: [Float] = []
    for (image, patch) in patches.enumerated() {
      let rows = patch.range(around: patch.center.row, of: height)
      let columns = patch.range(around: patch.center.column, of: width)
      for plane in image * planesPerImage..<(image + 1) * planesPerImage {
        for row in rows {
          let line = (plane * height + row) * width
          for i in (line + columns.lowerBound) * inner..<(line + columns.upperBound) * inner {
            result[i] = others.elements[i]
          }
        }
      }
      parts.append(1 - Float(rows.count * columns.count) / Float(height * width))
    }
    return (Tensor(shape: images.shape, elements: result), parts)
  }

  /// Where an image goes, in parts of its height and width, and whether it is turned left to right.
  struct Move {
    let (down, right): (Double, Double)
    let isTurned: Bool

    init(_ augmentations: Set<Augmentation>, using generator: inout SplitMix64) {
      func part() -> Double { augmentations.contains(.crop) ? generator.nextUniform() : 0.5 }
      (down, right) = (part(), part())
      isTurned = augmentations.contains(.flip) && generator.next() & 1 == 1
    }

    /// A whole number of -reach...reach, where `part` is uniform in 0..<1; each is as likely as the others.
    fileprivate static func shift(_ part: Double, of extent: Int) -> Int {
      let reach = max(1, extent / 8)
      return Int(part * Double(2 * reach + 1)) - reach
    }
  }

  /// - Parameter moves: one for each image.
  func moved(_ images: Tensor<Float>, _ moves: [Move]) -> Tensor<Float> {
    var result = [Float](repeating: 0, count: images.count)
    for (image, move) in moves.enumerated() {
      let (down, right) = (Move.shift(move.down, of: height), Move.shift(move.right, of: width))
      for plane in image * planesPerImage..<(image + 1) * planesPerImage {
        let start = plane * height * width * inner
        for row in max(0, -down)..<min(height, height - down) {
          for column in max(0, -right)..<min(width, width - right) {
            let source = start + ((row + down) * width + column + right) * inner
            let to = start + (row * width + (move.isTurned ? width - 1 - column : column)) * inner
            for i in 0..<inner { result[to + i] = images.elements[source + i] }
          }
        }
      }
    }
    return Tensor(shape: images.shape, elements: result)
  }
}
