import ModelGraph
import TensorCore
import Testing

@Suite struct GraphTests {
  private let same = Window(stride: [2, 2], dilation: [1, 1], padding: .same)

  /// Convolution to half the extents, two readers, a sum, a linear layer.
  private var graph: ModelGraph {
    ModelGraph(
      inputs: [.init(name: "image", shape: [nil, 8, 6, 3])],
      nodes: [
        Node(
          name: "conv", layer: "conv",
          operation: .convolution(
            Convolution(kernelShape: [10, 3, 3, 3], window: same), layout: .channelsLast,
            kernel: TensorReference("k"), bias: nil), inputs: ["image"]),
        Node(name: "relu", layer: "relu", operation: .activation(.relu()), inputs: ["conv"]),
        Node(name: "sum", layer: "sum", operation: .merge(.add), inputs: ["relu", "conv"]),
        Node(
          name: "pool", layer: "pool",
          operation: .globalPooling(.average, layout: .channelsLast, keepsAxes: false), inputs: ["sum"]),
        Node(
          name: "dense", layer: "dense",
          operation: .convolution(
            Convolution(kernelShape: [4, 10], window: .unit(0)), layout: .channelsLast,
            kernel: TensorReference("d"), bias: nil), inputs: ["pool"]),
      ],
      outputs: [.init(name: "dense", value: "dense")])
  }

  @Test func infersShapes() throws {
    let shapes = try graph.shapes()
    #expect(shapes["conv"] == [nil, 4, 3, 10])
    #expect(shapes["sum"] == [nil, 4, 3, 10])
    #expect(shapes["dense"] == [nil, 4])
    #expect(try graph.shapes(inputs: ["image": [5, 8, 6, 3]])["pool"] == [5, 10])
    #expect(throws: (any Error).self) { try graph.shapes(inputs: ["image": [5, 8, 6, 4]]) }
    #expect(throws: (any Error).self) { try graph.shapes(inputs: [:]) }
  }

  @Test func countsWork() throws {
    // 12 positions x 10 x 27, and 40.
    #expect(try graph.macs() == 12 * 270 + 40)
    // While the sum is made, conv (120) and relu (120) are alive; the sum overwrites one of them. Before, the image (144) and conv.
    #expect(try graph.peakActivationCount() == 144 + 120)
  }

  @Test func replacesALayerByStages() throws {
    let stages: [Stage] = [
      .convolution(Convolution(kernelShape: [2, 3, 1, 1], window: .unit(2))),
      .convolution(Convolution(kernelShape: [10, 2, 3, 3], window: same)),
    ]
    let replaced = graph.replacing(
      layer: "conv", with: stages, factors: [TensorReference("a"), TensorReference("b")], bias: nil)
    #expect(replaced.nodes.map(\.name) == ["conv/0", "conv", "relu", "sum", "pool", "dense"])
    #expect(try replaced.shapes()["conv"] == [nil, 4, 3, 10])
    #expect(try replaced.macs() == 48 * 6 + 12 * 180 + 40)
    #expect(stages.macs(inputExtents: [8, 6]) == 48 * 6 + 12 * 180)
    #expect(stages.parameterCount == 6 + 180)
    // The input (144), the middle (96), the output (120).
    #expect(stages.peakStateCount(inputExtents: [8, 6]) == 144)
  }

  @Test func countsBatchedStages() {
    let stages: [Stage] = [
      .convolution(Convolution(kernelShape: [4, 2, 3, 3], batch: 3, window: same)), .bias(channels: 12),
    ]
    #expect(stages.convolutions[0].inputChannels == 6 && stages.convolutions[0].outputChannels == 12)
    #expect(stages.parameterCount == 72 + 12)
    #expect(stages.macs(inputExtents: [8, 6]) == 12 * 3 * 72)
  }

  @Test func paddingKeepsTheExtentUpToTheStride() {
    for input in 1...12 {
      for kernel in 1...5 {
        for stride in 1...4 {
          for dilation in 1...3 {
            let amounts = [Padding.same, .sameLower].map {
              $0.amounts(axis: 0, input: input, kernel: kernel, stride: stride, dilation: dilation)
            }
            let window = Window(stride: [stride], dilation: [dilation], padding: .same)
            #expect(window.outputExtent(axis: 0, input: input, kernel: kernel) == (input + stride - 1) / stride)
            // No smaller border would do, and the odd cell is at the end, or at the beginning.
            let total = amounts[0].before + amounts[0].after
            let reach = (kernel - 1) * dilation + 1
            let outputs = (input + stride - 1) / stride
            #expect(total == max(0, (outputs - 1) * stride + reach - input))
            #expect((0...1).contains(amounts[0].after - amounts[0].before))
            #expect(amounts[1].before == amounts[0].after && amounts[1].after == amounts[0].before)
          }
        }
      }
    }
    let valid = Window(stride: [2], dilation: [2], padding: .valid)
    #expect(valid.outputExtent(axis: 0, input: 4, kernel: 3) == 0)
    #expect(valid.outputExtent(axis: 0, input: 5, kernel: 3) == 1)
    let causal = Window(stride: [1], dilation: [2], padding: .causal)
    #expect(causal.outputExtent(axis: 0, input: 7, kernel: 3) == 7)
  }
}
