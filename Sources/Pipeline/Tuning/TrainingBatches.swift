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
    for way in [Augmentation.mix, .cutmix] where augmentations.contains(way) {
      let partners = indices.map { _ in Int(generator.next() % UInt64(count)) }
      var others = try inputs.samples(partners)
      move(&others, using: &generator)
      let parts: [Float]
      if way == .mix {
        parts = indices.map { _ in Float(generator.nextUniform()) }
        taken = taken.merging(others) { $0.mixed(with: $1, parts) }
      } else {
        parts = paste(others, onto: &taken, samples: indices.count, using: &generator)
      }
      wanted = wanted.map { own in targets.map { own.mixed(with: $0.picked(partners), parts) } ?? own }
    }
    return Batch(indices: indices, inputs: taken, targets: wanted)
  }

  /// Puts a rectangle of other images onto each; of several inputs in the same place.
  ///
  /// - Returns: the part of each sample that stays.
  private func paste(
    _ others: [String: Tensor<Float>], onto images: inout [String: Tensor<Float>], samples: Int,
    using generator: inout SplitMix64
  ) -> [Float] {
    let patches = (0..<samples).map { _ in ImageBatch.Patch(using: &generator) }
    var parts = [Float](repeating: 1, count: samples)
    for name in images.keys.sorted() {
      guard let own = images[name], let other = others[name], let batch = ImageBatch(own.shape) else { continue }
      (images[name], parts) = batch.pasted(patches, of: other, onto: own)
    }
    return parts
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
