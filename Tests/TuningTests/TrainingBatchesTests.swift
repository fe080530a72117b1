import Basics
import Foundation
import ModelGraph
import Running
import TensorCore
import Testing

@testable import Tuning

@Suite struct TrainingBatchesTests {
  private static let count = 12

  private func batches(
    _ augmentations: Set<Augmentation>, _ shape: [Int] = [12, 3, 8, 8], views: Int? = nil
  ) throws -> TrainingBatches {
    var generator = SplitMix64(seed: 1)
    let images = StoredTensor(name: "x", Tensor<Float>(gaussian: shape, using: &generator), as: .f32)
    let graph = ModelGraph(
      inputs: [.init(name: "x", shape: [nil] + shape.dropFirst().map { $0 })],
      nodes: [Node(name: "out", layer: "out", operation: .identity, inputs: ["x"])],
      outputs: [.init(name: "out", value: "out")])
    return TrainingBatches(
      inputs: try SampleArrays([images], for: graph, SamplePreparation()), count: Self.count,
      targets: Tensor(shape: [12, 2], elements: (0..<24).map { Float($0 % 2 == ($0 / 2) % 2 ? 1 : 0) }),
      augmentations: augmentations, views: views, seed: 3)
  }

  @Test func anEpochHoldsEverySampleOnce() throws {
    let batches = try batches([])
    let orders = (0..<3).map { batches.order(epoch: $0) }
    for order in orders { #expect(order.sorted() == Array(0..<Self.count)) }
    #expect(orders[0] != orders[1] && orders[1] != orders[2])
    let batch = try batches.batch(Array(orders[0][2..<5]), view: 0)
    #expect(batch.indices == Array(orders[0][2..<5]))
    #expect(try batch.inputs["x"]?.samples(1..<2) == batches.inputs.samples([orders[0][3]])["x"])
  }

  /// A sample looks the same in whatever company, in one view.
  @Test func theSeedTheViewAndTheSampleDecide() throws {
    let batches = try batches([.crop, .flip, .mixup, .cutmix])
    let first = try #require(try batches.batch([3, 1, 4, 5], view: 0).inputs["x"])
    #expect(try first.samples(1..<3) == batches.batch([1, 4], view: 0).inputs["x"])
    #expect(try first != batches.batch([3, 1, 4, 5], view: 1).inputs["x"])
  }

  /// Two inputs that are the same stay the same.
  @Test func inputsMoveTogether() throws {
    var generator = SplitMix64(seed: 2)
    let image = Tensor<Float>(gaussian: [12, 1, 16, 16], using: &generator)
    let names = ["a", "b"]
    let graph = ModelGraph(
      inputs: names.map { .init(name: $0, shape: [nil, 1, 16, 16]) },
      nodes: [Node(name: "out", layer: "out", operation: .identity, inputs: ["a"])],
      outputs: [.init(name: "out", value: "out")])
    let arrays = try SampleArrays(
      names.map { StoredTensor(name: $0, image, as: .f32) }, for: graph, SamplePreparation())
    let batches = TrainingBatches(
      inputs: arrays, count: 12, targets: nil, augmentations: [.crop, .flip, .mixup, .cutmix], views: nil, seed: 5)
    let batch = try batches.batch(Array(0..<12), view: 0)
    #expect(batch.inputs["a"] != image && batch.inputs["a"] == batch.inputs["b"])
  }

  @Test func viewsComeAgain() throws {
    #expect(try (0..<5).map(batches([.flip], views: 2).view) == [0, 1, 0, 1, 0])
    #expect(try (0..<3).map(batches([.flip]).view) == [0, 1, 2])
    #expect(try (0..<3).map(batches([]).view) == [0, 0, 0])
    #expect(try batches([.flip], views: 2).repeats && batches([]).repeats && !batches([.flip]).repeats)
  }

  /// Every line of a moved image is a line of the image, and what came in is zero.
  @Test(arguments: [[12, 3, 8, 8], [12, 8, 8, 3]])
  func cropsMoveAndFlipsTurn(_ shape: [Int]) throws {
    let batches = try batches([.crop, .flip], shape)
    let order = batches.order(epoch: 0)
    let moved = try #require(try batches.batch(order, view: 0).inputs["x"])
    let original = try #require(try batches.inputs.samples(order)["x"])
    let toFirst = shape[1] == 3 ? [0, 1, 2, 3] : [0, 3, 1, 2]
    let (a, b) = (original.permuted(toFirst), moved.permuted(toFirst))
    var kinds: Set<String> = []
    for image in 0..<12 {
      var found = false
      for down in -1...1 {
        for right in -1...1 {
          for turns in [false, true] {
            let isIt = (0..<8).allSatisfy { row in
              (0..<8).allSatisfy { column in
                let to = turns ? 7 - column : column
                let inside = (0..<8).contains(row + down) && (0..<8).contains(column + right)
                return b[[image, 1, row, to]] == (inside ? a[[image, 1, row + down, column + right]] : 0)
              }
            }
            if isIt {
              found = true
              kinds.insert("\(down) \(right) \(turns)")
            }
          }
        }
      }
      #expect(found, "image \(image)")
    }
    #expect(kinds.count > 3)
  }

  /// Every position is the image's own or that of one other image, in all channels, and labels count the positions.
  @Test(arguments: [[12, 3, 8, 8], [12, 8, 8, 3]])
  func cutmixPutsRectanglesOntoImages(_ shape: [Int]) throws {
    let batches = try batches([.cutmix], shape)
    let order = batches.order(epoch: 0)
    let batch = try batches.batch(order, view: 0)
    let toFirst = shape[1] == 3 ? [0, 1, 2, 3] : [0, 3, 1, 2]
    let cut = try #require(batch.inputs["x"]).permuted(toFirst)
    let all = try #require(try batches.inputs.samples(0..<12)["x"]).permuted(toFirst)
    let targets = try #require(batch.targets)
    let own = try #require(batches.targets).picked(order)
    var areas: Set<Int> = []
    for image in 0..<12 {
      func isFrom(_ other: Int, _ row: Int, _ column: Int) -> Bool {
        (0..<3).allSatisfy { cut[[image, $0, row, column]] == all[[other, $0, row, column]] }
      }
      let positions = (0..<64).map { ($0 / 8, $0 % 8) }
      let foreign = positions.filter { !isFrom(order[image], $0.0, $0.1) }
      areas.insert(foreign.count)
      let rows = Set(foreign.map(\.0)).count
      #expect(foreign.count == rows * Set(foreign.map(\.1)).count)
      let partners = (0..<12).filter { other in foreign.allSatisfy { isFrom(other, $0.0, $0.1) } }
      #expect(!partners.isEmpty)
      let part = Float(64 - foreign.count) / 64
      #expect(
        partners.contains { partner in
          let others = batches.targets?.picked([partner]).elements ?? []
          return (0..<2).allSatisfy { label in
            let wanted = part * own.elements[2 * image + label] + (1 - part) * others[label]
            return abs(targets.elements[2 * image + label] - wanted) <= 1e-6
          }
        })
    }
    #expect(areas.count > 3)
  }

  @Test func mixingKeepsWhatLabelsSumTo() throws {
    let batches = try batches([.mixup])
    let batch = try batches.batch(batches.order(epoch: 0), view: 0)
    let targets = try #require(batch.targets)
    for sample in 0..<12 {
      #expect(abs(targets.elements[2 * sample] + targets.elements[2 * sample + 1] - 1) <= 1e-6)
    }
    #expect(targets.elements.contains { $0 > 0.01 && $0 < 0.99 })
  }

  @Test func imagesThatAreTargetsDoNotMove() throws {
    var request = TuneRequest(checkpoint: "m.h5", data: "data.npz")
    request.augmentations = [.mixup]
    try request.checkAugmentations(images: true, targetOrder: 4)
    request.augmentations = [.mixup, .flip]
    try request.checkAugmentations(images: true, targetOrder: 2)
    for (images, order, reason) in [(true, 4, "targets are images"), (false, 2, "no images")] {
      let failure = #expect(throws: Failure.self) { try request.checkAugmentations(images: images, targetOrder: order) }
      #expect(failure?.description.contains(reason) == true)
    }
  }
}

@Suite struct TuneLossTests {
  private func tensor(_ shape: [Int], _ seed: UInt64) -> Tensor<Float> {
    var generator = SplitMix64(seed: seed)
    return Tensor(gaussian: shape, using: &generator)
  }

  private func probabilities(_ logits: Tensor<Float>) -> Tensor<Float> {
    let exponentials = logits.map { exp($0) }
    let count = logits.shape[1]
    return Tensor(
      shape: logits.shape,
      elements: exponentials.elements.indices.map { index in
        let first = index / count * count
        return exponentials.elements[index] / exponentials.elements[first..<first + count].reduce(0, +)
      })
  }

  @Test(arguments: [0, 0.3, 1], [true, false])
  func gradientsAreTheDerivatives(_ labelPart: Double, _ areProbabilities: Bool) throws {
    let shape = [3, 4]
    var output = tensor(shape, 1)
    var original = tensor(shape, 2)
    if areProbabilities { (output, original) = (probabilities(output), probabilities(original)) }
    let targets = Tensor<Float>(shape: shape, elements: [1, 0, 0, 0, 0, 0.5, 0.5, 0, 0, 0, 0, 1])
    let loss = TuneLoss(examples: [original], labelPart: labelPart, temperature: 2)
    let (value, gradients) = loss([output], original: [original], targets: labelPart > 0 ? targets : nil)
    #expect(value.isFinite && value > 0)
    for element in output.elements.indices {
      func moved(_ by: Float) -> Double {
        var elements = output.elements
        elements[element] += by
        return loss(
          [Tensor(shape: shape, elements: elements)], original: [original], targets: labelPart > 0 ? targets : nil
        ).loss
      }
      let step: Float = 1e-3
      let slope = (moved(step) - moved(-step)) / Double(2 * step)
      // The loss is a sum of single-precision logarithms of size 1; the third derivative of a logarithm at small probabilities is large.
      #expect(abs(slope - Double(gradients[0].elements[element])) <= 1e-2 * max(1, abs(slope)), "\(element)")
    }
  }

  /// Features are quadratic, so that central differences are exact but for rounding.
  @Test func featuresCountByTheirRelativeErrors() {
    let (output, feature) = (tensor([3, 4], 5), tensor([3, 2, 5], 6))
    let expected = [tensor([3, 4], 7), tensor([3, 2, 5], 8)]
    func loss(_ factor: Double, _ feature: Tensor<Float>) -> (loss: Double, gradients: [Tensor<Float>]) {
      TuneLoss(
        examples: [expected[0]], labelPart: 0, temperature: 2, features: [expected[1]], featureFactor: factor)(
          [output, feature], original: expected, targets: nil)
    }
    let (without, with) = (loss(0, feature), loss(2, feature))
    let difference = feature.subtracting(expected[1])
    let relative = 3 * difference.squaredNorm / expected[1].squaredNorm
    #expect(abs(with.loss - without.loss - 2 * relative) <= 1e-5 * with.loss)
    #expect(with.gradients[0] == without.gradients[0])
    for element in feature.elements.indices {
      func moved(_ by: Float) -> Double {
        var elements = feature.elements
        elements[element] += by
        return loss(2, Tensor(shape: feature.shape, elements: elements)).loss
      }
      let slope = (moved(0.125) - moved(-0.125)) / 0.25
      #expect(abs(slope - Double(with.gradients[1].elements[element])) <= 1e-4 * max(1, abs(slope)))
    }
  }

  @Test func isLeastAtTheOriginal() {
    let original = tensor([4, 5], 3)
    let loss = TuneLoss(examples: [original], labelPart: 0, temperature: nil)
    let (value, gradients) = loss([original], original: [original], targets: nil)
    #expect(abs(value) <= 1e-4 && gradients[0].elements.allSatisfy { abs($0) <= 1e-5 })
    let values = tensor([4, 2, 3], 4)
    let regression = TuneLoss(examples: [values], labelPart: 0, temperature: nil)
    #expect(regression([values], original: [values], targets: nil).loss == 0)
    // Nothing at all is as far as the values' mean square.
    #expect(abs(regression([Tensor(zeros: [4, 2, 3])], original: [values], targets: nil).loss - 4) <= 1e-4)
  }
}
