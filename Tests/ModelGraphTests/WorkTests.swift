import ModelGraph
import TensorCore
import Testing

@Suite struct WorkTests {
  private func work(_ convolution: Convolution, bias: Bool = false, input: [Int], output: [Int]) -> [NodeWork] {
    Node(
      name: "n", layer: "n",
      operation: .convolution(
        convolution, layout: .channelsFirst, kernel: TensorReference("k"), bias: bias ? TensorReference("b") : nil),
      inputs: ["x"]
    ).work(inputs: [input], output: output)
  }

  @Test func aConvolutionCountsItsProducts() {
    let window = Window(stride: [2, 2], dilation: [1, 1], padding: .same)
    // 4 x 4 positions, 10 channels of 3 x 3 x 6 inputs.
    #expect(
      work(
        Convolution(kernelShape: [10, 6, 3, 3], window: window), bias: true, input: [1, 6, 8, 8], output: [1, 10, 4, 4])
        == [
          NodeWork(
            .stridedConvolution, macs: 16 * 10 * 54, weights: 540 + 10, read: 384, written: 160, width: 10, depth: 54)
        ])
    // Two groups, and the weight shared over three blocks of channels. The bias comes behind a reshaping.
    #expect(
      work(
        Convolution(kernelShape: [4, 2, 3, 3], groups: 2, batch: 3, window: window), bias: true,
        input: [1, 12, 8, 8], output: [1, 12, 4, 4])
        == [
          NodeWork(
            .groupedConvolution, macs: 16 * 12 * 18, weights: 72 + 12, read: 768, written: 192, width: 2,
            depth: 18), NodeWork(.elementwise, read: 192, written: 192),
        ])
  }

  @Test(arguments: [
    ([8, 4, 3, 3], 1, 1, 1, [OperationKind.convolution]), ([8, 4, 1, 1], 1, 1, 1, [.pointwiseConvolution]),
    ([8, 1, 3, 3], 8, 1, 1, [.depthwiseConvolution]), ([8, 2, 3, 3], 4, 1, 1, [.groupedConvolution]),
    ([8, 4, 3, 3], 1, 1, 2, [.dilatedConvolution, .convolution]),
    ([8, 1, 3, 3], 8, 1, 2, [.depthwiseConvolution, .dilatedConvolution]),
    ([8, 4, 1, 3], 1, 2, 1, [.dilatedConvolution, .convolution]),
    ([8, 4, 1, 1], 1, 2, 1, [.pointwiseConvolution]),
  ])
  func kindsOfConvolutions(_ shape: [Int], _ groups: Int, _ batch: Int, _ dilation: Int, _ kinds: [OperationKind]) {
    let window = Window(stride: [1, 1], dilation: [1, dilation], padding: .valid)
    #expect(Convolution(kernelShape: shape, groups: groups, batch: batch, window: window).kinds == kinds)
  }

  @Test func linearLayers() {
    let linear = work(Convolution(kernelShape: [5, 7], window: .unit(0)), input: [1, 7], output: [1, 5])
    #expect(linear == [NodeWork(.linear, macs: 35, weights: 35, read: 7, written: 5, width: 5, depth: 7)])
    let grouped = Convolution(kernelShape: [6, 2], groups: 3, window: .unit(0))
    #expect(grouped.kinds == [.groupedConvolution])
  }

  @Test func otherOperations() {
    func kinds(_ operation: Operation, _ inputs: [[Int]], _ output: [Int]) -> [NodeWork] {
      Node(name: "n", layer: "n", operation: operation, inputs: []).work(inputs: inputs, output: output)
    }
    #expect(
      kinds(.merge(.add), [[1, 4], [1, 4]], [1, 4]) == [NodeWork(.elementwise, read: 8, written: 4)])
    #expect(
      kinds(.merge(.concatenate(axis: 1)), [[1, 4], [1, 2]], [1, 6]) == [NodeWork(.copy, read: 6, written: 6)])
    #expect(kinds(.reshape([4]), [[1, 2, 2]], [1, 4]).isEmpty)
    #expect(kinds(.array(.gather(axis: 1)), [[1, 4], [4]], [1, 4]).map(\.kind) == [.permutation])
    #expect(
      kinds(.array(.matrixProduct), [[2, 3], [3, 4]], [2, 4])
        == [NodeWork(.linear, macs: 24, read: 18, written: 8, width: 4, depth: 3)])
  }
}
