import TensorCore
import Testing

@testable import ModelGraph

@Suite struct FusingTests {
  private func node(_ name: String, _ operation: Operation, _ inputs: String...) -> Node {
    Node(name: name, layer: name, operation: operation, inputs: inputs)
  }

  private func convolution(batch: Int = 1) -> Operation {
    .convolution(
      Convolution(kernelShape: [4, 4 / batch, 1, 1], batch: batch, window: .unit(2)), layout: .channelsLast,
      kernel: TensorReference("k"), bias: nil)
  }

  private func normalization(axis: Int) -> Operation {
    .batchNormalization(
      axis: axis, epsilon: 1e-3, gamma: nil, beta: nil, mean: TensorReference("m"), variance: TensorReference("v"))
  }

  private func fused(_ nodes: [Node], outputs: [String], by runner: Runner) throws -> Set<String> {
    let graph = ModelGraph(
      inputs: [.init(name: "x", shape: [nil, 5, 5, 4])], nodes: nodes,
      outputs: outputs.map { .init(name: $0, value: $0) })
    return graph.fusedNodes(shapes: try graph.shapes(), by: runner)
  }

  @Test func whatFollowsAloneIsFused() throws {
    let nodes = [
      node("c", convolution(), "x"), node("n", normalization(axis: -1), "c"), node("r", .activation(.relu()), "n"),
      node("n2", normalization(axis: -1), "r"), node("s", .merge(.add), "n2", "x"),
      node("r2", .activation(.relu()), "s"), node("r3", .activation(.tanh), "r2"),
    ]
    // Behind an activation nothing follows in the same pass, and behind a sum no affine function.
    #expect(try fused(nodes, outputs: ["r3"], by: .engine) == ["n", "r", "r2"])
    #expect(try fused(nodes, outputs: ["r3"], by: .file) == ["n", "r", "r2"])
    // A value that somebody else sees exists by itself.
    #expect(try fused(nodes, outputs: ["r3", "c"], by: .engine) == ["r", "r2"])
    let other = [node("c", convolution(), "x"), node("n", normalization(axis: 1), "c")]
    #expect(try fused(other, outputs: ["n"], by: .engine) == [])
  }

  @Test func sharedWeightsTakeNoFinishInFiles() throws {
    let nodes = [node("c", convolution(batch: 2), "x"), node("r", .activation(.relu()), "c")]
    #expect(try fused(nodes, outputs: ["r"], by: .engine) == ["r"])
    #expect(try fused(nodes, outputs: ["r"], by: .file) == [])
  }

  @Test func stagesStepByStep() throws {
    let shared = Convolution(kernelShape: [6, 2, 1, 1], batch: 2, window: .unit(2))
    let last = Convolution(kernelShape: [5, 12, 3, 3], window: .unit(2))
    let steps = [Stage.convolution(shared), .permutation(axes: [2, 6], order: [1, 0]), .convolution(last)]
      .steps(on: [1, 7, 7, 4], layout: .channelsLast)
    #expect(steps.map(\.input) == [[1, 7, 7, 4], [1, 7, 7, 12], [1, 7, 7, 12]])
    #expect(steps.map(\.output) == [[1, 7, 7, 12], [1, 7, 7, 12], [1, 5, 5, 5]])
    #expect(steps.map(\.takesFinish) == [false, false, true])
    #expect(steps[2].work.map(\.macs) == [25 * 5 * 12 * 9])
    #expect(
      [Stage.convolution(shared), .bias(channels: 12)].steps(on: [1, 7, 7, 4], layout: .channelsLast).count == 1)
  }

  @Test func wiringTellsMakersAndReaders() throws {
    let graph = ModelGraph(
      inputs: [.init(name: "x", shape: [nil, 5, 5, 4])],
      nodes: [
        node("a", .identity, "x"), node("b", .merge(.add), "a", "a"), node("c", .merge(.add), "b", "x"),
        node("d", .identity, "c"),
      ],
      outputs: [.init(name: "d", value: "d"), .init(name: "c", value: "c")])
    let wiring = Wiring(graph)
    #expect(wiring.maker(of: "b") == 1 && wiring.maker(of: "x") == nil)
    #expect(wiring.readers(of: "a") == [1, 1] && wiring.readers(of: "d") == [])
    #expect(wiring.lastReader(of: "x") == 2)
    #expect(wiring.onlyReader(of: "a") == nil && wiring.onlyReader(of: "b") == 2 && wiring.onlyReader(of: "c") == nil)
    #expect(wiring.released == [[], ["a"], ["b", "x"], []])
    #expect(graph.values(crossing: 2) == ["x", "b"] && graph.values(crossing: 4) == ["c", "d"])
  }
}
