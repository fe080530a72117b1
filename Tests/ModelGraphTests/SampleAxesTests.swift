import TensorCore
import Testing

@testable import ModelGraph

@Suite struct SampleAxesTests {
  private func graph(
    _ inputs: [(String, [Int?])], _ operation: Operation, _ outputs: [String] = ["y"]
  ) -> ModelGraph {
    ModelGraph(
      inputs: inputs.map { .init(name: $0.0, shape: $0.1) },
      nodes: [Node(name: "y", layer: "y", operation: operation, inputs: inputs.map(\.0))],
      outputs: outputs.map { .init(name: $0, value: $0) })
  }

  private func recurrent(_ x: [Int?], _ state: [Int?]) -> ModelGraph {
    let layer = RecurrentLayer(
      kind: .gru, hiddenCount: 8, directions: [false], inputWeights: TensorReference("w"),
      hiddenWeights: TensorReference("r"), bias: nil, resetsAfterProduct: false, hasInitialState: true, result: .hidden)
    return graph([("x", x), ("h", state)], .array(.recurrent(layer)))
  }

  /// The second axis of a sequence, of its state and of what comes out, though the first one is open too.
  @Test func stepsAreNoSamples() throws {
    let axes = try #require(recurrent([nil, nil, 4], [1, nil, 8]).sampleAxes)
    #expect(axes.axis(of: "x") == 1 && axes.axis(of: "h") == 1 && axes.axis(of: "y") == 1 && axes.batch == nil)
    #expect(recurrent([7, nil, 4], [1, nil, 8]).sampleAxes?.axis(of: "x") == 1)
  }

  /// Anchors are the same for all samples, whichever input comes first.
  @Test(arguments: [nil, 1, 4] as [Int?]) func anchorsAreNoBatch(_ batch: Int?) throws {
    let graph = graph([("anchors", [32, 1, 1]), ("x", [batch, 32, 8, 8])], .array(.elementwise(.multiply)))
    let axes = try #require(graph.sampleAxes)
    #expect(axes.axis(of: "anchors") == nil && axes.axis(of: "x") == 0 && axes.axis(of: "y") == 0)
    #expect(axes.batch == batch && graph.fixedBatch == batch)
    #expect(!graph.keepsSamplesApart)
  }

  @Test func whatHasNoPartForEachSampleRunsAsAWhole() {
    let mean = Operation.array(.reduce(.mean, keepsAxes: false, ignoresMissingAxes: false))
    #expect(graph([("x", [nil, 4])], mean).sampleAxes == nil)
    #expect(graph([("x", [3, 4])], mean).sampleAxes == nil)
    #expect(graph([("x", [nil, 4])], mean).openFirstAxes?.axis(of: "x") == 0)
    // A number alone has no axis.
    #expect(graph([("x", [])], .identity).sampleAxes == nil)
  }

  /// The axis of the batch is that which a convolution says, whatever else is open.
  @Test func imagesAreCountedOnTheFirstAxis() {
    let convolution = Convolution(kernelShape: [2, 3, 1, 1], window: .unit(2))
    let operation = Operation.convolution(
      convolution, layout: .channelsFirst, kernel: TensorReference("w"), bias: nil)
    #expect(graph([("x", [nil, 3, nil, nil])], operation).sampleAxes?.axis(of: "x") == 0)
    #expect(graph([("x", [1, 3, nil, nil])], operation).fixedBatch == 1)
    #expect(graph([("x", [nil, 3, 4, 4])], operation).keepsSamplesApart)
  }
}
