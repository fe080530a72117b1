import Basics
import Inference
import ModelGraph
import TensorCore
import Testing

@Suite struct EngineTests {
  private func message(_ body: () throws -> Void) -> String {
    do {
      try body()
      return ""
    } catch {
      return "\(error)"
    }
  }

  @Test func namesTheLayerThatCannotBeRun() {
    let text = message {
      _ = try run(.unsupported(type: "Lambda", reason: "it holds code, which is never run"), [Tensor(zeros: [1, 2])])
    }
    #expect(text.contains("'layer'") && text.contains("it holds code, which is never run"))
  }

  @Test func namesInputsThatDoNotFit() throws {
    let graph = ModelGraph(
      inputs: [.init(name: "image", shape: [nil, 4])],
      nodes: [Node(name: "out", layer: "relu", operation: .activation(.relu()), inputs: ["image"])],
      outputs: [.init(name: "result", value: "out")])
    let engine = try Engine(graph) { _ in Tensor(zeros: []) }
    #expect(message { _ = try engine.run([:]) }.contains("'image'"))
    #expect(message { _ = try engine.run(["image": Tensor(zeros: [2, 5])]) }.contains("[2, 5]"))
    #expect(
      message { _ = try engine.run(["image": Tensor(zeros: [2, 4]), "more": Tensor(zeros: [1])]) }.contains("'more'"))
    #expect(try engine.run(["image": Tensor(zeros: [3, 4])]).map(\.shape) == [[3, 4]])
  }

  /// A residual block: values with two readers, an activation that could be computed in place, two outputs.
  private var block: ModelGraph {
    func convolution(_ kernel: String) -> Operation {
      .convolution(
        Convolution(kernelShape: [3, 3, 3, 3], window: Window(stride: [1, 1], dilation: [1, 1], padding: .same)),
        layout: .channelsLast, kernel: TensorReference(kernel), bias: nil)
    }
    return ModelGraph(
      inputs: [.init(name: "x", shape: [nil, 4, 4, 3])],
      nodes: [
        Node(name: "a", layer: "a", operation: convolution("k"), inputs: ["x"]),
        Node(name: "r", layer: "r", operation: .activation(.relu()), inputs: ["a"]),
        Node(name: "b", layer: "b", operation: convolution("l"), inputs: ["r"]),
        Node(name: "s", layer: "s", operation: .merge(.add), inputs: ["b", "x"]),
        Node(name: "t", layer: "t", operation: .activation(.tanh), inputs: ["s"]),
      ],
      outputs: [.init(name: "t", value: "t"), .init(name: "r", value: "r")])
  }

  @Test func keepsValuesThatAreReadAgain() throws {
    let weights = [
      "k": Tensor<Float>(gaussian: [3, 3, 3, 3], seed: 1), "l": Tensor<Float>(gaussian: [3, 3, 3, 3], seed: 2),
    ]
    let input = Tensor<Float>(gaussian: [5, 4, 4, 3], seed: 3)
    let outputs = try Engine(block) { weights[$0.name] ?? input }.run(["x": input])
    let convolution = Convolution(
      kernelShape: [3, 3, 3, 3], window: Window(stride: [1, 1], dilation: [1, 1], padding: .same))
    let a = bruteForce(convolution, weights["k"] ?? input, bias: nil, input.channelsFirst)
    let r = a.map { max($0, 0) }
    let b = bruteForce(convolution, weights["l"] ?? input, bias: nil, r).channelsLast
    let sum = Tensor<Float>(shape: b.shape, elements: zip(b.elements, input.elements).map { $0 + $1 })
    let expected = try run(.activation(.tanh), [sum])
    #expect(outputs[0].largestDifference(from: expected) <= 1e-4)
    #expect(outputs[1].largestDifference(from: r.channelsLast) <= 1e-4)
  }

  @Test func aBatchIsItsSamples() throws {
    let weights = [
      "k": Tensor<Float>(gaussian: [3, 3, 3, 3], seed: 1), "l": Tensor<Float>(gaussian: [3, 3, 3, 3], seed: 2),
    ]
    let input = Tensor<Float>(gaussian: [7, 4, 4, 3], seed: 4)
    let engine = try Engine(block) { weights[$0.name] ?? input }
    let together = try engine.run(["x": input])[0]
    for sample in 0..<7 {
      let size = 4 * 4 * 3
      let one = Tensor<Float>(
        shape: [1, 4, 4, 3], elements: Array(input.elements[sample * size..<(sample + 1) * size]))
      let alone = try engine.run(["x": one])[0]
      let part = Tensor<Float>(
        shape: alone.shape, elements: Array(together.elements[sample * size..<(sample + 1) * size]))
      #expect(alone.largestDifference(from: part) <= 1e-5)
    }
    #expect(try engine.run(["x": input])[0] == together)
  }

  @Test func showsValuesOnTheWay() throws {
    let weights = [
      "k": Tensor<Float>(gaussian: [3, 3, 3, 3], seed: 1), "l": Tensor<Float>(gaussian: [3, 3, 3, 3], seed: 2),
    ]
    let input = Tensor<Float>(gaussian: [2, 4, 4, 3], seed: 5)
    let engine = try Engine(block) { weights[$0.name] ?? input }
    var seen: [String: Tensor<Float>] = [:]
    #expect(engine.computes("x") && engine.computes("r"))
    try engine.run(["x": input], observing: ["x", "r"]) { seen[$0] = $1 }
    #expect(seen["x"] == input)
    #expect(seen["r"] == (try engine.run(["x": input])[1]))
  }

  /// The data say how often they are repeated; the shapes behind follow while the network runs.
  @Test func shapesThatDependOnTheData() throws {
    let graph = ModelGraph(
      inputs: [.init(name: "x", shape: [nil, 2]), .init(name: "counts", shape: [2])],
      nodes: [
        Node(name: "t", layer: "t", operation: .array(.tile), inputs: ["x", "counts"]),
        Node(name: "y", layer: "y", operation: .activation(.relu()), inputs: ["t"]),
      ], outputs: [.init(name: "y", value: "y")])
    let engine = try Engine(graph) { _ in Tensor(zeros: []) }
    let x = Tensor<Float>(shape: [1, 2], elements: [-1, 2])
    let counts = Tensor<Float>(shape: [2], elements: [2, 1])
    #expect(try engine.run(["x": x, "counts": counts])[0] == Tensor(shape: [2, 2], elements: [0, 2, 0, 2]))
    #expect(throws: Failure.self) {
      try engine.run(["x": x, "counts": Tensor(shape: [2], elements: [-2, 1])])
    }
  }
}
