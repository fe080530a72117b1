import TensorCore
import Testing

@testable import ModelGraph

@Suite struct ActivationMemoryTests {
  private func convolution(_ out: Int, _ inner: Int, _ extent: Int, stride: Int = 1) -> Convolution {
    Convolution(
      kernelShape: [out, inner, extent, extent],
      window: Window(stride: [stride, stride], dilation: [1, 1], padding: .same))
  }

  /// A residual block: the first convolution's input stays alive beside it, the second's does not.
  private var graph: ModelGraph {
    func node(_ name: String, _ convolution: Convolution, _ input: String) -> Node {
      Node(
        name: name, layer: name,
        operation: .convolution(convolution, layout: .channelsLast, kernel: TensorReference(name), bias: nil),
        inputs: [input])
    }
    return ModelGraph(
      inputs: [.init(name: "image", shape: [nil, 8, 8, 4])],
      nodes: [
        node("stem", convolution(8, 4, 3), "image"), node("one", convolution(16, 8, 3), "stem"),
        Node(name: "relu", layer: "relu", operation: .activation(.relu()), inputs: ["one"]),
        node("two", convolution(8, 16, 3), "relu"),
        Node(name: "sum", layer: "sum", operation: .merge(.add), inputs: ["two", "stem"]),
      ],
      outputs: [.init(name: "sum", value: "sum")])
  }

  @Test func countsWhatIsAlive() throws {
    let memory = try #require(try ActivationMemory(graph))
    // Positions: 64. While `two` runs: stem (8 channels), relu (16), two (8).
    #expect(memory.peak == 64 * (8 + 16 + 8))
    #expect(memory.peak(outside: ["two"]).count == 64 * (8 + 16))
    #expect(memory.peak(outside: ["two"]).layer == "one")
    #expect(memory.peak(outside: []).count == memory.peak)
    // The image goes when the stem has read it, stem stays: 4 + 8, 8 + 16, 8 + 16 + 8.
    #expect(memory.peak(of: "stem", [.convolution(convolution(8, 4, 3))]) == 64 * 12)
    #expect(memory.peak(of: "one", [.convolution(convolution(16, 8, 3))]) == 64 * 24)
    #expect(memory.peak(of: "two", [.convolution(convolution(8, 16, 3))]) == 64 * 32)
    #expect(memory.peak(of: "nothing", []) == 0)
  }

  /// Taken layer by layer or of the whole network with the stages in it, the peak is the same.
  @Test(arguments: [1, 3, 12, 40])
  func agreesWithTheNetworkOfStages(rank: Int) throws {
    let memory = try #require(try ActivationMemory(graph))
    for (layer, out, inner) in [("stem", 8, 4), ("one", 16, 8), ("two", 8, 16)] {
      let stages: [Stage] = [
        .convolution(convolution(rank, inner, 1)),
        .convolution(Convolution(kernelShape: [rank, 1, 3, 3], groups: rank, window: convolution(1, 1, 3).window)),
        .permutation(axes: [rank, 1], order: [1, 0]), .convolution(convolution(out, rank, 1)),
      ]
      let factors = (0..<3).map { TensorReference("\($0)") }
      let replaced = graph.replacing(layer: layer, with: stages, factors: factors, bias: nil)
      let expected = try #require(try replaced.peakActivationCount())
      #expect(max(memory.peak(outside: [layer]).count, memory.peak(of: layer, stages)) == expected, "\(layer)")
    }
  }

  @Test func openExtentsHaveNoPeak() throws {
    let open = ModelGraph(
      inputs: [.init(name: "x", shape: [nil, nil, 8, 4])], nodes: [], outputs: [.init(name: "x", value: "x")])
    #expect(try ActivationMemory(open) == nil)
  }
}
