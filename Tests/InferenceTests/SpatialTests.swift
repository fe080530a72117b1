import Basics
import Inference
import ModelGraph
import TensorCore
import Testing

@Suite struct SpatialTests {
  @Test(arguments: [
    ([2], [2], [1], Padding.valid, [7]), ([3], [2], [1], .same, [7]), ([3], [1], [2], .valid, [9]),
    ([2, 2], [2, 2], [1, 1], .valid, [5, 6]), ([3, 3], [2, 2], [1, 1], .same, [5, 6]),
    ([3, 2], [1, 3], [1, 1], .same, [4, 7]), ([2, 2, 2], [2, 2, 2], [1, 1, 1], .valid, [4, 5, 4]),
    ([3, 3, 2], [2, 1, 2], [1, 1, 1], .same, [4, 3, 5]), ([1, 1], [2, 2], [1, 1], .valid, [5, 5]),
  ])
  func poolingEqualsItsDefinition(
    extents: [Int], stride: [Int], dilation: [Int], padding: Padding, input: [Int]
  ) throws {
    let window = Window(stride: stride, dilation: dilation, padding: padding)
    let value = Tensor<Float>(gaussian: [2, 3] + input, seed: 21)
    let output = window.outputExtents(input: input, kernel: extents)
    for kind in [Pooling.Kind.maximum, .average] {
      let first = try run(
        .pooling(Pooling(kind: kind, extents: extents, window: window, layout: .channelsFirst)), [value])
      let last = try run(
        .pooling(Pooling(kind: kind, extents: extents, window: window, layout: .channelsLast)),
        [value.channelsLast])
      #expect(first.shape == [2, 3] + output)
      #expect(last.channelsFirst.largestDifference(from: first) <= 8 * .ulpOfOne)
      for index in indices(of: [2, 3] + output) {
        let cells = taps(Array(index.dropFirst(2)), kernel: extents, input: input, window)
          .map { value[Array(index.prefix(2)) + $0.place] }
        // Cells outside of the input count neither for the maximum nor for the mean.
        let expected = kind == .maximum ? cells.max() ?? .nan : cells.reduce(0, +) / Float(cells.count)
        #expect(abs(first[index] - expected) <= 8 * .ulpOfOne)
      }
    }
  }

  @Test(arguments: [[5], [3, 4], [2, 3, 2]])
  func globalPoolingSeesEverything(extents: [Int]) throws {
    let value = Tensor<Float>(gaussian: [2, 3] + extents, seed: 22)
    let count = extents.reduce(1, *)
    for kind in [Pooling.Kind.maximum, .average] {
      let first = try run(.globalPooling(kind, layout: .channelsFirst, keepsAxes: false), [value])
      let kept = try run(.globalPooling(kind, layout: .channelsLast, keepsAxes: true), [value.channelsLast])
      #expect(kept.shape == [2] + extents.map { _ in 1 } + [3])
      for index in indices(of: [2, 3]) {
        let start = (index[0] * 3 + index[1]) * count
        let cells = value.elements[start..<start + count]
        let expected = kind == .maximum ? cells.max() ?? .nan : cells.reduce(0, +) / Float(count)
        #expect(abs(first[index] - expected) <= 16 * .ulpOfOne)
        #expect(abs(kept.elements[index[0] * 3 + index[1]] - expected) <= 16 * .ulpOfOne)
      }
    }
  }

  @Test func normalizesABatch() throws {
    let value = Tensor<Float>(gaussian: [2, 3, 4], seed: 23)
    let weights = [
      "g": Tensor<Float>(gaussian: [4], seed: 1), "b": Tensor<Float>(gaussian: [4], seed: 2),
      "m": Tensor<Float>(gaussian: [4], seed: 3), "v": Tensor<Float>(gaussian: [4], seed: 4).map { $0 * $0 + 0.1 },
    ]
    let result = try run(
      .batchNormalization(
        axis: -1, epsilon: 1e-3, gamma: TensorReference("g"), beta: TensorReference("b"),
        mean: TensorReference("m"), variance: TensorReference("v")), [value], weights: weights)
    for index in indices(of: [2, 3, 4]) {
      func weight(_ name: String) -> Float { weights[name]?.elements[index[2]] ?? .nan }
      let expected = (value[index] - weight("m")) / (weight("v") + 1e-3).squareRoot() * weight("g") + weight("b")
      #expect(abs(result[index] - expected) <= 1e-5)
    }
  }

  @Test(arguments: [[-1], [1, 2], [2]])
  func normalizesALayer(axes: [Int]) throws {
    let value = Tensor<Float>(gaussian: [2, 3, 4], seed: 24)
    let positive = axes.map { $0 < 0 ? 3 + $0 : $0 }
    let shape = positive.map { value.shape[$0] }
    let weights = ["g": Tensor<Float>(gaussian: shape, seed: 1), "b": Tensor<Float>(gaussian: shape, seed: 2)]
    let result = try run(
      .layerNormalization(
        axes: axes, epsilon: 1e-5, gamma: TensorReference("g"), beta: TensorReference("b")), [value],
      weights: weights)
    for index in indices(of: [2, 3, 4]) {
      let cells = indices(of: shape).map { place -> Double in
        var other = index
        for (axis, position) in zip(positive, place) { other[axis] = position }
        return Double(value[other])
      }
      let mean = cells.reduce(0, +) / Double(cells.count)
      let variance = cells.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(cells.count)
      let place = positive.map { index[$0] }
      let scaled = (Double(value[index]) - mean) / (variance + 1e-5).squareRoot()
      let expected = scaled * Double(weights["g"]?[place] ?? .nan) + Double(weights["b"]?[place] ?? .nan)
      #expect(abs(Double(result[index]) - expected) <= 1e-4)
    }
  }

  @Test func padsAndCrops() throws {
    let value = Tensor<Float>(gaussian: [2, 3, 4, 2], seed: 25)
    let padded = try run(.padding(before: [0, 1, 0, 0], after: [0, 2, 3, 0], value: -1), [value])
    #expect(padded.shape == [2, 6, 7, 2])
    for index in indices(of: padded.shape) {
      let place = [index[0], index[1] - 1, index[2], index[3]]
      let isInside = zip(place, value.shape).allSatisfy { (0..<$1).contains($0) }
      #expect(padded[index] == (isInside ? value[place] : -1))
    }
    let cropped = try run(.cropping(before: [0, 1, 0, 0], after: [0, 2, 3, 0]), [padded])
    #expect(cropped == value)
  }

  @Test func upsamples() throws {
    let value = Tensor<Float>(gaussian: [1, 2, 3, 2], seed: 26)
    let nearest = try run(
      .upsampling(factors: [2, 3], interpolation: .nearest, layout: .channelsLast), [value])
    #expect(nearest.shape == [1, 4, 9, 2])
    for index in indices(of: nearest.shape) {
      #expect(nearest[index] == value[[0, index[1] / 2, index[2] / 3, index[3]]])
    }
    // Half-pixel centres, as TensorFlow 2 has them.
    let bilinear = try run(
      .upsampling(factors: [2, 2], interpolation: .bilinear, layout: .channelsLast), [value])
    for index in indices(of: [1, 4, 6, 2]) {
      func source(_ position: Int, _ extent: Int) -> (Int, Int, Float) {
        let exact = max(0, (Float(position) + 0.5) / 2 - 0.5)
        let low = min(Int(exact), extent - 1)
        return (low, min(low + 1, extent - 1), exact - Float(low))
      }
      let (top, bottom, down) = source(index[1], 2)
      let (left, right, across) = source(index[2], 3)
      func at(_ y: Int, _ x: Int) -> Float { value[[0, y, x, index[3]]] }
      let upper = at(top, left) * (1 - across) + at(top, right) * across
      let lower = at(bottom, left) * (1 - across) + at(bottom, right) * across
      #expect(abs(bilinear[index] - (upper * (1 - down) + lower * down)) <= 8 * .ulpOfOne)
    }
  }

  @Test func rearranges() throws {
    let value = Tensor<Float>(gaussian: [2, 3, 4], seed: 27)
    #expect(try run(.reshape([4, -1]), [value]) == value.reshaped([2, 4, 3]))
    #expect(try run(.permutation([0, 2, 1]), [value]) == value.permuted([0, 2, 1]))
    let repeated = try run(.repetition(count: 3), [value.reshaped([2, 12])])
    #expect(repeated.shape == [2, 3, 12])
    for index in indices(of: [2, 3, 12]) {
      #expect(repeated[index] == value.reshaped([2, 12])[[index[0], index[2]]])
    }
    let turned = try run(
      .channelPermutation(axes: [2, 2], order: [1, 0], layout: .channelsLast), [value])
    #expect(turned == value.reshaped([2, 3, 2, 2]).permuted([0, 1, 3, 2]).reshaped([2, 3, 4]))
    #expect(try run(.identity, [value]) == value)
  }

  @Test func scales() throws {
    let value = Tensor<Float>(gaussian: [2, 3], seed: 28)
    let one = try run(.scaling(scale: [2], offset: [-1]), [value])
    let each = try run(.scaling(scale: [1, 2, 3], offset: [0, 1, 2]), [value])
    for index in indices(of: [2, 3]) {
      #expect(abs(one[index] - (2 * value[index] - 1)) <= 8 * .ulpOfOne)
      #expect(abs(each[index] - (value[index] * Float(index[1] + 1) + Float(index[1]))) <= 16 * .ulpOfOne)
    }
    let slopes = Tensor<Float>(shape: [3], elements: [0.1, 0.2, 0.3])
    let learned = try run(.parametricReLU(slopes: TensorReference("s")), [value], weights: ["s": slopes])
    for index in indices(of: [2, 3]) {
      let x = value[index]
      #expect(abs(learned[index] - (x < 0 ? x * slopes.elements[index[1]] : x)) <= 2 * .ulpOfOne)
    }
  }
}
