import Basics
import Running
import TensorCore

/// The samples that are learned from, mixed anew for every epoch.
///
/// What is done to a sample follows from the seed, its number and the view alone, so that a run can go on where it stopped.
struct TrainingBatches: Sendable {
  let inputs: SampleArrays
  /// How many of them are learned from, the first ones.
  let count: Int
  /// What labels or targets ask of the first output, samples first.
  let targets: Tensor<Float>?
  let augmentations: Set<Augmentation>
  /// Views of the samples that epochs take in turn; nil gives each epoch its own.
  let views: Int?
  let seed: UInt64

  struct Batch: Sendable {
    /// The numbers of the samples, before augmentation.
    let indices: [Int]
    let inputs: [String: Tensor<Float>]
    let targets: Tensor<Float>?
  }

  /// The samples of an epoch in their order.
  func order(epoch: Int) -> [Int] {
    var generator = generator(epoch, 0)
    return generator.permutation(of: count)
  }

  /// The way in which an epoch sees its samples.
  func view(epoch: Int) -> Int { augmentations.isEmpty ? 0 : views.map { epoch % $0 } ?? epoch }

  /// Whether views come again.
  var repeats: Bool { augmentations.isEmpty || views != nil }

  /// - Throws: `Failure` where a sample cannot be decoded.
  func batch(_ indices: [Int], view: Int) throws -> Batch {
    var taken = try inputs.samples(indices)
    var wanted = targets?.picked(indices)
    guard !augmentations.isEmpty else { return Batch(indices: indices, inputs: taken, targets: wanted) }
    var generators = indices.map { generator(view, $0 + 1) }
    move(&taken, using: &generators)
    for way in [Augmentation.mixup, .cutmix] where augmentations.contains(way) {
      let partners = generators.indices.map { Int(generators[$0].next() % UInt64(count)) }
      var others = try inputs.samples(partners)
      move(&others, using: &generators)
      let parts: [Float]
      if way == .mixup {
        parts = generators.indices.map { Float(generators[$0].nextUniform()) }
        taken = taken.merging(others) { $0.mixed(with: $1, parts) }
      } else {
        parts = paste(others, onto: &taken, using: &generators)
      }
      wanted = wanted.map { own in targets.map { own.mixed(with: $0.picked(partners), parts) } ?? own }
    }
    return Batch(indices: indices, inputs: taken, targets: wanted)
  }

  /// Puts a rectangle of other images onto each; of several inputs in the same place.
  ///
  /// - Returns: the part of each sample that stays.
  private func paste(
    _ others: [String: Tensor<Float>], onto images: inout [String: Tensor<Float>],
    using generators: inout [SplitMix64]
  ) -> [Float] {
    let patches = generators.indices.map { ImageBatch.Patch(using: &generators[$0]) }
    var parts = [Float](repeating: 1, count: patches.count)
    for name in images.keys.sorted() {
      guard let own = images[name], let other = others[name], let batch = ImageBatch(own.shape) else { continue }
      (images[name], parts) = batch.pasted(patches, of: other, onto: own)
    }
    return parts
  }

  private func generator(_ turn: Int, _ place: Int) -> SplitMix64 {
    SplitMix64(seed: seed &* 0x9E37_79B9 &+ UInt64(turn) &* 0x1_0000_0001_B3 &+ UInt64(place))
  }

  private func move(_ inputs: inout [String: Tensor<Float>], using generators: inout [SplitMix64]) {
    let moves = generators.indices.map { ImageBatch.Move(augmentations, using: &generators[$0]) }
    for name in inputs.keys {
      if let tensor = inputs[name], let images = ImageBatch(tensor.shape) { inputs[name] = images.moved(tensor, moves) }
    }
  }
}

extension Tensor where Scalar == Float {
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
