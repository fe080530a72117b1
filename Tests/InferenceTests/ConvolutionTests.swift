import Basics
import Inference
import ModelGraph
import TensorCore
import Testing

@Suite struct ConvolutionTests {
  /// A random layer: one to three spatial axes, groups, batch, strides, dilations, every padding.
  private struct Case {
    let convolution: Convolution
    let input: [Int]
    let hasBias: Bool

    init(_ generator: inout SplitMix64) {
      func pick<T>(_ values: [T]) -> T { values[Int(generator.next() % UInt64(values.count))] }
      let order = pick([1, 1, 2, 2, 2, 3])
      let isDepthwise = pick([true, false, false])
      let groups = isDepthwise ? pick([3, 16, 17]) : pick([1, 1, 1, 2, 4])
      let batch = groups > 1 ? 1 : pick([1, 1, 2, 3])
      let kernel = (0..<order).map { _ in pick([1, 2, 3, 5]) }
      let dilation = (0..<order).map { _ in pick([1, 1, 2]) }
      let stride = (0..<order).map { _ in pick([1, 1, 2, 3]) }
      let paddings: [Padding] = [
        .valid, .same, .sameLower,
        .explicit(before: (0..<order).map { _ in pick([0, 1, 2]) }, after: (0..<order).map { _ in pick([0, 1, 3]) }),
        order == 1 ? .causal : .same,
      ]
      let perGroup = isDepthwise ? 1 : pick([1, 2, 5, 8])
      convolution = Convolution(
        kernelShape: [groups * pick([1, 2, 3]), perGroup] + kernel, groups: groups, batch: batch,
        window: Window(stride: stride, dilation: dilation, padding: pick(paddings)))
      // Large enough for the window even without padding.
      let room = order == 3 ? 3 : 6
      input = kernel.indices.map { (kernel[$0] - 1) * dilation[$0] + 1 + pick([0, 1, room]) }
      hasBias = pick([true, false])
    }
  }

  @Test("equals the definition in both layouts", arguments: 0..<240)
  func equalsTheDefinition(seed: Int) throws {
    var generator = SplitMix64(seed: UInt64(seed))
    let layer = Case(&generator)
    let convolution = layer.convolution
    let kernel = Tensor<Float>(gaussian: convolution.kernelShape, using: &generator)
    let bias = Tensor<Float>(gaussian: [convolution.outputChannels], using: &generator)
    let input = Tensor<Float>(gaussian: [2, convolution.inputChannels] + layer.input, using: &generator)
    let expected = bruteForce(convolution, kernel, bias: layer.hasBias ? bias.elements : nil, input)
    let weights = ["kernel": kernel, "bias": bias]
    func operation(_ layout: ChannelLayout) -> Operation {
      .convolution(
        convolution, layout: layout, kernel: TensorReference("kernel"),
        bias: layer.hasBias ? TensorReference("bias") : nil)
    }
    let first = try run(operation(.channelsFirst), [input], weights: weights)
    let last = try run(operation(.channelsLast), [input.channelsLast], weights: weights)
    // n products of standard normal numbers, each rounded: n * eps * the largest sum that occurs.
    let terms = Float(convolution.kernelShape.dropFirst().reduce(1, *) + 1)
    let tolerance = 8 * terms * .ulpOfOne * (1 + terms.squareRoot())
    #expect(first.largestDifference(from: expected) <= tolerance, "\(convolution)")
    #expect(last.channelsFirst.largestDifference(from: expected) <= tolerance, "\(convolution)")
  }

  @Test(arguments: [[5], [3, 5], [2, 3, 5]])
  func linearLayersActOnTheLastAxis(shape: [Int]) throws {
    let kernel = Tensor<Float>(gaussian: [4, 5], seed: 1)
    let bias = Tensor<Float>(gaussian: [4], seed: 2)
    let input = Tensor<Float>(gaussian: [3] + shape, seed: 3)
    let result = try run(
      .convolution(
        Convolution(kernelShape: [4, 5], window: .unit(0)), layout: .channelsLast,
        kernel: TensorReference("kernel"), bias: TensorReference("bias")),
      [input], weights: ["kernel": kernel, "bias": bias])
    #expect(result.shape == [3] + shape.dropLast() + [4])
    for index in indices(of: result.shape) {
      let sum = (0..<5).reduce(bias[[index[index.count - 1]]]) {
        $0 + kernel[[index[index.count - 1], $1]] * input[Array(index.dropLast()) + [$1]]
      }
      #expect(abs(result[index] - sum) <= 64 * .ulpOfOne)
    }
  }

  @Test(arguments: [
    ([3, 2, 3], [2], Padding.same, [5]), ([3, 2, 4, 3], [2, 2], .same, [4, 5]),
    ([2, 3, 3, 3], [1, 1], .valid, [4, 4]), ([3, 2, 2, 5], [3, 2], .valid, [3, 4]),
    ([2, 2, 2, 3, 2], [2, 1, 2], .valid, [3, 2, 3]), ([2, 2, 1, 3], [3, 3], .same, [3, 3]),
  ])
  func transposedConvolutionScattersItsInput(
    kernelShape: [Int], stride: [Int], padding: Padding, extents: [Int]
  ) throws {
    let kernel = Tensor<Float>(gaussian: kernelShape, seed: 4)
    let input = Tensor<Float>(gaussian: [2, kernelShape[0]] + extents, seed: 5)
    let ones = stride.map { _ in 1 }
    func operation(_ layout: ChannelLayout) -> Operation {
      .transposedConvolution(
        TransposedConvolution(
          kernelShape: kernelShape, window: Window(stride: stride, dilation: ones, padding: padding),
          layout: layout, kernel: TensorReference("kernel"), bias: nil))
    }
    // The gradient of a convolution: every input element adds the kernel at its place, less what the padding cuts off.
    let taps = Array(kernelShape.dropFirst(2))
    let output = extents.indices.map {
      padding == .same ? extents[$0] * stride[$0] : extents[$0] * stride[$0] + max(taps[$0] - stride[$0], 0)
    }
    let cut = extents.indices.map { padding == .same ? max(taps[$0] - stride[$0], 0) / 2 : 0 }
    var expected = [Double](repeating: 0, count: 2 * kernelShape[1] * output.reduce(1, *))
    let shape = [2, kernelShape[1]] + output
    let strides = Tensor<Float>.strides(of: shape)
    for index in indices(of: input.shape) {
      for target in indices(of: [kernelShape[1]] + taps) {
        let place = extents.indices.map { index[$0 + 2] * stride[$0] + target[$0 + 1] - cut[$0] }
        guard zip(place, output).allSatisfy({ (0..<$1).contains($0) }) else { continue }
        let position = zip([index[0], target[0]] + place, strides).reduce(0) { $0 + $1.0 * $1.1 }
        expected[position] += Double(input[index]) * Double(kernel[[index[1]] + target])
      }
    }
    let reference = Tensor<Float>(shape: shape, elements: expected.map { Float($0) })
    let first = try run(operation(.channelsFirst), [input], weights: ["kernel": kernel])
    let last = try run(operation(.channelsLast), [input.channelsLast], weights: ["kernel": kernel])
    let tolerance = Float(kernelShape.reduce(1, *)) * 16 * .ulpOfOne
    #expect(first.largestDifference(from: reference) <= tolerance)
    #expect(last.channelsFirst.largestDifference(from: reference) <= tolerance)
  }

  @Test func stagesEqualTheirLayersOneByOne() throws {
    // A permutation between two stages, and a bias of its own.
    let stages: [Stage] = [
      .convolution(Convolution(kernelShape: [3, 2, 1, 1], batch: 2, window: .unit(2))),
      .permutation(axes: [2, 3], order: [1, 0]),
      .convolution(
        Convolution(
          kernelShape: [5, 6, 3, 3], window: Window(stride: [2, 2], dilation: [1, 1], padding: .same))),
      .bias(channels: 5),
    ]
    let weights = [
      "a": Tensor<Float>(gaussian: [3, 2, 1, 1], seed: 1),
      "b": Tensor<Float>(gaussian: [5, 6, 3, 3], seed: 2), "bias": Tensor<Float>(gaussian: [5], seed: 3),
    ]
    let input = Tensor<Float>(gaussian: [2, 4, 5, 6], seed: 4)
    let convolutions = stages.convolutions
    let first = bruteForce(convolutions[0], weights["a"] ?? input, bias: nil, input)
    let turned = first.reshaped([2, 2, 3, 5, 6]).permuted([0, 2, 1, 3, 4]).reshaped([2, 6, 5, 6])
    let expected = bruteForce(convolutions[1], weights["b"] ?? input, bias: weights["bias"]?.elements, turned)
    for layout in [ChannelLayout.channelsFirst, .channelsLast] {
      let given = layout == .channelsFirst ? input : input.channelsLast
      let graph = ModelGraph(
        stages: stages, layer: "layer", inputShape: given.shape, layout: layout,
        factors: [TensorReference("a"), TensorReference("b")], bias: TensorReference("bias"))
      let engine = try Engine(graph) { weights[$0.name] ?? input }
      let result = try engine.run(["input": given])[0]
      let same = layout == .channelsFirst ? result : result.channelsFirst
      #expect(same.largestDifference(from: expected) <= 1e-4)
    }
  }
}
