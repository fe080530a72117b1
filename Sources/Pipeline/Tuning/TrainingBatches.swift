import Basics
import TensorCore

/// The samples that are learned from, mixed anew for every epoch.
///
/// What a batch holds follows from the seed, the epoch and its place in the epoch alone, so that a run can go on where it stopped.
struct TrainingBatches: Sendable {
  let inputs: SampleArrays
  /// How many of them are learned from, the first ones.
  let count: Int
  /// What labels or targets ask of the first output, samples first.
  let targets: Tensor<Float>?
  let augmentations: Set<Augmentation>
  let seed: UInt64

  struct Batch: Sendable {
    /// Of the samples, before augmentation.
    let indices: [Int]
    let inputs: [String: Tensor<Float>]
    let targets: Tensor<Float>?
  }

  /// The samples of an epoch in their order.
  func order(epoch: Int) -> [Int] {
    var generator = SplitMix64(seed: mixed(epoch, 0))
    return generator.permutation(of: count)
  }

  /// - Parameters:
  ///   - range: of the places in the epoch's order.
  ///   - order: the epoch's.
  /// - Throws: `Failure` where a sample cannot be decoded.
  func batch(_ range: Range<Int>, of order: [Int], epoch: Int) throws -> Batch {
    var generator = SplitMix64(seed: mixed(epoch, range.lowerBound + 1))
    let indices = Array(order[range])
    var taken = try inputs.samples(indices)
    var wanted = targets?.picked(indices)
    guard !augmentations.isEmpty else { return Batch(indices: indices, inputs: taken, targets: wanted) }
    move(&taken, using: &generator)
    if augmentations.contains(.mix) {
      let partners = indices.map { _ in Int(generator.next() % UInt64(count)) }
      let parts = indices.map { _ in Float(generator.nextUniform()) }
      var others = try inputs.samples(partners)
      move(&others, using: &generator)
      taken = Dictionary(
        uniqueKeysWithValues: taken.map { name, tensor in
          (name, others[name].map { tensor.mixed(with: $0, parts) } ?? tensor)
        })
      wanted = wanted.map { own in targets.map { own.mixed(with: $0.picked(partners), parts) } ?? own }
    }
    return Batch(indices: indices, inputs: taken, targets: wanted)
  }

  private func mixed(_ epoch: Int, _ place: Int) -> UInt64 {
    seed &* 0x9E37_79B9 &+ UInt64(epoch) &* 0x1_0000_0001_B3 &+ UInt64(place)
  }

  private func move(_ inputs: inout [String: Tensor<Float>], using generator: inout SplitMix64) {
    for name in inputs.keys.sorted() {
      guard let tensor = inputs[name], let images = ImageBatch(tensor.shape) else { continue }
      inputs[name] = images.moved(
        tensor, crops: augmentations.contains(.crop), flips: augmentations.contains(.flip), using: &generator)
    }
  }
}

/// Where a batch of images has its lines and columns.
struct ImageBatch {
  /// Images, then what is before the lines in one image.
  private let planes: Int
  private let height: Int
  private let width: Int
  /// Numbers of one position that lie together.
  private let inner: Int
  private let planesPerImage: Int

  /// Nil for what has no 4 axes. Channels are the last axis where that is the shorter one.
  init?(_ shape: [Int]) {
    guard shape.count == 4 else { return nil }
    let isLast = shape[3] < shape[1]
    planesPerImage = isLast ? 1 : shape[1]
    (height, width, inner) = isLast ? (shape[1], shape[2], shape[3]) : (shape[2], shape[3], 1)
    planes = shape[0] * planesPerImage
  }

  func moved(
    _ images: Tensor<Float>, crops: Bool, flips: Bool, using generator: inout SplitMix64
  ) -> Tensor<Float> {
    let reach = (max(1, height / 8), max(1, width / 8))
    var result = [Float](repeating: 0, count: images.count)
    func shift(_ reach: Int) -> Int { crops ? Int(generator.next() % UInt64(2 * reach + 1)) - reach : 0 }
    for image in 0..<planes / planesPerImage {
      let (down, right) = (shift(reach.0), shift(reach.1))
      let isTurned = flips && generator.next() & 1 == 1
      for plane in image * planesPerImage..<(image + 1) * planesPerImage {
        let start = plane * height * width * inner
        for row in max(0, -down)..<min(height, height - down) {
          for column in max(0, -right)..<min(width, width - right) {
            let source = start + ((row + down) * width + column + right) * inner
            let to = start + (row * width + (isTurned ? width - 1 - column : column)) * inner
            for i in 0..<inner { result[to + i] = images.elements[source + i] }
          }
        }
      }
    }
    return Tensor(shape: images.shape, elements: result)
  }
}

extension Tensor where Scalar == Float {
  /// Some samples in an order of their own.
  func picked(_ indices: [Int]) -> Tensor {
    let size = count / Swift.max(1, shape[0])
    var result: [Float] = []
    result.reserveCapacity(indices.count * size)
    for index in indices { result += elements[index * size..<(index + 1) * size] }
    return Tensor(shape: [indices.count] + shape.dropFirst(), elements: result)
  }

  /// Every sample times its part, plus the other times the rest.
  fileprivate func mixed(with other: Tensor, _ parts: [Float]) -> Tensor {
    let size = count / Swift.max(1, parts.count)
    var result = elements
    for sample in parts.indices {
      for i in sample * size..<(sample + 1) * size {
        result[i] = parts[sample] * result[i] + (1 - parts[sample]) * other.elements[i]
      }
    }
    return Tensor(shape: shape, elements: result)
  }
}
