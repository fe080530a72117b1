import TensorCore
import Testing

@testable import ModelGraph

@Suite struct RunnablePartTests {
  private let kernel = Operation.convolution(
    Convolution(kernelShape: [4, 4], window: .unit(0)), layout: .channelsLast, kernel: TensorReference("w"), bias: nil)
  private let unknown = Operation.unsupported(type: "Own", reason: "it is unknown")

  private func node(_ name: String, _ operation: Operation, _ inputs: String...) -> Node {
    Node(name: name, layer: name, operation: operation, inputs: inputs)
  }

  private func graph(_ nodes: [Node], _ outputs: String...) -> ModelGraph {
    ModelGraph(
      inputs: [.init(name: "x", shape: [nil, 4]), .init(name: "z", shape: [nil, 4])], nodes: nodes,
      outputs: outputs.map { .init(name: $0, value: $0) })
  }

  @Test func whatRunsIsRunAsAWhole() throws {
    let whole = graph([node("a", kernel, "x"), node("b", .identity, "a")], "b")
    let part = try #require(whole.runnablePart)
    #expect(part.graph == whole && part.stop == nil)
  }

  /// What the unknown layer reads is shown; what lies behind it, and inputs that only that reads, are not there.
  @Test func theNetworkStopsBeforeWhatIsUnknown() throws {
    let part = try #require(
      graph(
        [node("a", kernel, "x"), node("own", unknown, "a", "z"), node("b", kernel, "own"), node("c", .identity, "a")],
        "b", "c"
      ).runnablePart)
    #expect(part.graph.nodes.map(\.name) == ["a", "c"] && part.graph.inputs.map(\.name) == ["x"])
    #expect(part.graph.outputs.map(\.value) == ["c", "a"])
    #expect(part.stop == "layer 'own' (it is unknown)")
  }

  @Test func severalStopsAreCounted() throws {
    let part = try #require(
      graph([node("a", kernel, "x"), node("own", unknown, "a"), node("other", unknown, "a")], "own", "other")
        .runnablePart)
    #expect(part.graph.outputs.map(\.value) == ["a"] && part.stop == "layer 'own' (it is unknown) and 1 others")
  }

  /// No output depends on it.
  @Test func aDeadEndStopsNothing() throws {
    let part = try #require(graph([node("a", kernel, "x"), node("own", unknown, "a")], "a").runnablePart)
    #expect(part.graph.nodes.map(\.name) == ["a"] && part.stop == nil)
  }

  @Test func withoutAKernelThereIsNothingToRun() {
    #expect(graph([node("own", unknown, "x"), node("a", kernel, "own")], "a").runnablePart == nil)
  }
}
