import Inference
import ModelGraph
import TensorCore
import Testing

/// Moments against convolutions with kernels that pick one element of the patch: their outputs are the patches themselves.
@Suite struct PatchMomentsTests {
  private func patches(
    _ convolution: Convolution, _ layout: ChannelLayout, _ input: Tensor<Float>
  ) throws -> [[Double]] {
    let patch = convolution.kernelShape.dropFirst().reduce(1, *)
    let picking = Tensor<Float>(
      shape: [patch] + convolution.kernelShape.dropFirst(),
      elements: (0..<patch * patch).map { $0 / patch == $0 % patch ? 1 : 0 })
    let all = Convolution(kernelShape: picking.shape, window: convolution.window)
    let output = try run(
      .convolution(all, layout: layout, kernel: TensorReference("k"), bias: nil), [input], weights: ["k": picking])
    let last = layout == .channelsLast || convolution.spatialOrder == 0 ? output : output.permuted([0, 2, 3, 1])
    return stride(from: 0, to: last.count, by: patch).map { start in
      last.elements[start..<start + patch].map(Double.init)
    }
  }

  @Test(
    arguments: [ChannelLayout.channelsFirst, .channelsLast],
    [Padding.valid, .same, .explicit(before: [2, 0], after: [1, 1])])
  func areThoseOfThePatches(layout: ChannelLayout, padding: Padding) throws {
    for (stride, dilation) in [([1, 1], [1, 1]), ([2, 1], [1, 1]), ([1, 1], [1, 2])] {
      let convolution = Convolution(
        kernelShape: [5, 3, 3, 2], window: Window(stride: stride, dilation: dilation, padding: padding))
      let shape = layout == .channelsFirst ? [4, 3, 7, 6] : [4, 7, 6, 3]
      try check(convolution, layout, shape)
    }
  }

  @Test func areThoseOfRows() throws {
    try check(Convolution(kernelShape: [4, 6], window: .unit(0)), .channelsLast, [5, 6])
  }

  private func check(_ convolution: Convolution, _ layout: ChannelLayout, _ shape: [Int]) throws {
    let x = Tensor<Float>(gaussian: shape, seed: 1)
    let kernel = Tensor<Float>(gaussian: convolution.kernelShape, seed: 3)
    let reference = TensorReference("k")
    let t = try run(
      .convolution(convolution, layout: layout, kernel: reference, bias: nil), [x], weights: ["k": kernel])
    var moments = PatchMoments(convolution, layout: layout)
    var half = moments
    try moments.add(x.firstHalf(2), outputs: t.firstHalf(2))
    try half.add(x.secondHalf(2), outputs: t.secondHalf(2))
    moments.add(half)
    let xs = try patches(convolution, layout, x)
    #expect(moments.count == xs.count)
    let patch = kernel.count / kernel.shape[0]
    for i in 0..<patch {
      let mean = xs.reduce(0) { $0 + $1[i] } / Double(xs.count)
      #expect(abs(moments.inputMean[i] - mean) <= 1e-5)
      for j in 0..<patch {
        let second = xs.reduce(0) { $0 + $1[i] * $1[j] } / Double(xs.count)
        #expect(abs(moments.second.elements[i * patch + j] - second) <= 1e-5)
      }
    }
    // The outputs are the kernel's, so their moments are its products with those of the patches.
    for output in 0..<kernel.shape[0] {
      let row = (0..<patch).map { Double(kernel.elements[output * patch + $0]) }
      let mean = (0..<patch).reduce(0.0) { $0 + row[$1] * moments.inputMean[$1] }
      #expect(abs(moments.outputMean[output] - mean) <= 1e-4)
      for j in 0..<patch {
        let cross = (0..<patch).reduce(0.0) { $0 + row[$1] * moments.second.elements[$1 * patch + j] }
        #expect(abs(moments.crossing.elements[output * patch + j] - cross) <= 1e-4)
      }
    }
  }
}

extension Tensor<Float> {
  fileprivate func firstHalf(_ count: Int) -> Tensor { part(0..<count) }
  fileprivate func secondHalf(_ start: Int) -> Tensor { part(start..<shape[0]) }

  private func part(_ range: Range<Int>) -> Tensor {
    let size = shape.dropFirst().reduce(1, *)
    return Tensor(
      shape: [range.count] + shape.dropFirst(),
      elements: Array(elements[range.lowerBound * size..<range.upperBound * size]))
  }
}
