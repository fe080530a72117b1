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
    let (x, y) = (Tensor<Float>(gaussian: shape, seed: 1), Tensor<Float>(gaussian: shape, seed: 2))
    var moments = PatchMoments(convolution, layout: layout)
    var half = moments
    try moments.add(x.firstHalf, changed: y.firstHalf)
    try half.add(x.secondHalf, changed: y.secondHalf)
    moments.add(half)
    let (xs, ys) = (try patches(convolution, layout, x), try patches(convolution, layout, y))
    #expect(moments.count == xs.count)
    let patch = moments.patch
    for i in 0..<patch {
      let mean = xs.reduce(0) { $0 + $1[i] } / Double(xs.count)
      #expect(abs(moments.means.input[i] - mean) <= 1e-5)
      for j in 0..<patch {
        let second = ys.reduce(0) { $0 + $1[i] * $1[j] } / Double(xs.count)
        let cross = zip(xs, ys).reduce(0) { $0 + $1.0[i] * $1.1[j] } / Double(xs.count)
        #expect(abs(moments.second.elements[i * patch + j] - second) <= 1e-5)
        #expect(abs(moments.crossing.elements[i * patch + j] - cross) <= 1e-5)
      }
    }
  }
}

extension Tensor<Float> {
  fileprivate var firstHalf: Tensor { part(0..<shape[0] / 2) }
  fileprivate var secondHalf: Tensor { part(shape[0] / 2..<shape[0]) }

  private func part(_ range: Range<Int>) -> Tensor {
    let size = shape.dropFirst().reduce(1, *)
    return Tensor(
      shape: [range.count] + shape.dropFirst(),
      elements: Array(elements[range.lowerBound * size..<range.upperBound * size]))
  }
}
