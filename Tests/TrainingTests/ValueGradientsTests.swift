import Basics
import Inference
import ModelGraph
import TensorCore
import TestSupport
import Testing
import Training

/// Gradients against differences: the derivative of <output, direction> along every element of a value inside the network.
@Suite struct ValueGradientsTests {
  private static let window = Window(
    stride: [2, 1], dilation: [1, 2], padding: .explicit(before: [1, 0], after: [0, 2]))

  /// One network for every operation that has an adjoint: what comes between the value and the output, on a value of this shape.
  static let cases: [(name: String, shape: [Int], operation: Operation)] = [
    (
      "convolution", [2, 4, 6, 7],
      .convolution(
        Convolution(kernelShape: [6, 4, 3, 2], window: window), layout: .channelsFirst, kernel: "k", bias: "b")
    ),
    (
      "grouped", [2, 6, 7, 4],
      .convolution(
        Convolution(kernelShape: [6, 2, 3, 2], groups: 2, window: window), layout: .channelsLast, kernel: "k", bias: nil
      )
    ),
    (
      "same", [2, 5, 6, 3],
      .convolution(
        Convolution(kernelShape: [4, 3, 3, 2], window: Window(stride: [2, 2], dilation: [1, 1], padding: .same)),
        layout: .channelsLast, kernel: "k", bias: nil)
    ),
    (
      "linear", [3, 5],
      .convolution(Convolution(kernelShape: [4, 5], window: .unit(0)), layout: .channelsLast, kernel: "k", bias: "b")
    ),
    (
      "normalization", [2, 3, 4, 4],
      .batchNormalization(axis: 1, epsilon: 0.1, gamma: "g", beta: "b3", mean: "b3", variance: "v")
    ),
    ("scaling", [2, 4, 3], .scaling(scale: [1, -2, 0.5], offset: [0, 1, 2])),
    ("tanh", [2, 3, 4], .activation(.tanh)),
    ("softmax", [3, 5], .activation(.softmax(axis: -1))),
    (
      "average", [2, 5, 6, 2],
      .pooling(
        Pooling(
          kind: .average, extents: [3, 2],
          window: Window(stride: [2, 2], dilation: [1, 1], padding: .same), layout: .channelsLast))
    ),
    (
      "padded average", [2, 2, 5, 6],
      .pooling(
        Pooling(
          kind: .average, extents: [3, 2],
          window: Window(stride: [2, 1], dilation: [1, 1], padding: .explicit(before: [1, 1], after: [1, 0])),
          layout: .channelsFirst, countsPadding: true))
    ),
    (
      "maximum", [2, 5, 6, 2],
      .pooling(
        Pooling(
          kind: .maximum, extents: [2, 3],
          window: Window(stride: [2, 2], dilation: [1, 1], padding: .valid), layout: .channelsLast))
    ),
    ("global", [2, 3, 4, 5], .globalPooling(.average, layout: .channelsFirst, keepsAxes: false)),
    ("global last", [2, 4, 5, 3], .globalPooling(.average, layout: .channelsLast, keepsAxes: true)),
    ("padding", [2, 3, 4], .padding(before: [0, 1, 0], after: [0, 0, 2], value: 3)),
    ("cropping", [2, 5, 4], .cropping(before: [0, 1, 0], after: [0, 1, 2])),
    ("reshape", [2, 3, 4], .reshape([4, -1])),
    ("permutation", [2, 3, 4], .permutation([0, 2, 1])),
    ("upsampling", [2, 3, 2, 2], .upsampling(factors: [2, 3], interpolation: .nearest, layout: .channelsLast)),
  ]

  private func parameter(_ reference: TensorReference) throws -> Tensor<Float> {
    let shapes = ["b": 6, "b3": 3, "g": 3, "v": 3]
    if let count = shapes[reference.name] {
      let values = Tensor<Float>(gaussian: [count], seed: 3)
      return reference.name == "v" ? values.map { $0 * $0 + 0.2 } : values
    }
    return Tensor(zeros: [])
  }

  @Test(arguments: cases.indices)
  func areTheDerivatives(index: Int) throws {
    let (name, shape, operation) = Self.cases[index]
    // x and its half are added, so that the gradient has to come together from two readers.
    let graph = ModelGraph(
      inputs: [.init(name: "x", shape: [nil] + shape.dropFirst().map { $0 })],
      nodes: [
        Node(name: "value", layer: "value", operation: .scaling(scale: [1], offset: [0]), inputs: ["x"]),
        Node(name: "half", layer: "half", operation: .scaling(scale: [0.5], offset: [0]), inputs: ["value"]),
        Node(name: "sum", layer: "sum", operation: .merge(.add), inputs: ["value", "half"]),
        Node(name: "result", layer: "result", operation: operation, inputs: ["sum"]),
      ], outputs: [.init(name: "result", value: "result")])
    func parameter(_ reference: TensorReference) throws -> Tensor<Float> {
      guard reference.name == "k" || reference.name == "b", case .convolution(let convolution, _, _, _) = operation
      else {
        return try self.parameter(reference)
      }
      return Tensor(
        gaussian: reference.name == "k" ? convolution.kernelShape : [convolution.kernelShape[0]], seed: 7)
    }
    let x = Tensor<Float>(gaussian: shape, seed: 1)
    let engine = try Engine(graph, parameter: parameter)
    let direction = Tensor<Float>(gaussian: try engine.run(["x": x])[0].shape, seed: 2)
    func inner(_ input: Tensor<Float>) throws -> Double {
      zip(try engine.run(["x": input])[0].elements, direction.elements).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    var gradient: Tensor<Float>?
    try ValueGradients(graph, parameter: parameter).run(
      ["x": x], wanted: ["value"], outputGradients: { _ in [direction] },
      observe: { if $0 == "value" { gradient = $1 } })
    let found = try #require(gradient, "\(name)")
    #expect(found.shape == shape)
    let step: Float = name == "maximum" ? 1e-3 : 1e-2
    let scale = Double(found.elements.map(abs).max() ?? 0)
    for element in x.elements.indices {
      func moved(_ by: Float) -> Tensor<Float> {
        var elements = x.elements
        elements[element] += by
        return Tensor(shape: shape, elements: elements)
      }
      let slope = try (inner(moved(step)) - inner(moved(-step))) / Double(2 * step)
      // Rounding of the sums over the step, and the third derivative of tanh and softmax times its square.
      #expect(abs(slope - Double(found.elements[element])) <= 2e-3 * max(1, scale), "\(name) \(element)")
    }
  }

  /// Behind an operation without an adjoint nothing is claimed, not even by the other branch.
  @Test func whatIsUnknownHasNoGradient() throws {
    let graph = ModelGraph(
      inputs: [.init(name: "x", shape: [2, 4])],
      nodes: [
        Node(name: "value", layer: "value", operation: .scaling(scale: [2], offset: [0]), inputs: ["x"]),
        Node(name: "odd", layer: "odd", operation: .activation(.sparsemax(axis: -1)), inputs: ["value"]),
        Node(name: "even", layer: "even", operation: .activation(.tanh), inputs: ["value"]),
        Node(name: "sum", layer: "sum", operation: .merge(.add), inputs: ["odd", "even"]),
      ], outputs: [.init(name: "sum", value: "sum")])
    var observed: [String] = []
    try ValueGradients(graph) { _ in Tensor(zeros: []) }.run(
      ["x": Tensor(gaussian: [2, 4], seed: 4)], wanted: ["value", "even"], outputGradients: { $0 },
      observe: { name, _ in observed.append(name) })
    #expect(observed == ["even"])
  }
}

extension TensorReference: ExpressibleByStringLiteral {
  public init(stringLiteral value: String) { self.init(value) }
}

extension Tensor<Float> {
  fileprivate init(gaussian shape: [Int], seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    self.init(gaussian: shape, using: &generator)
  }
}
