import Basics
import Inference
import ModelGraph
import TensorCore
import TestSupport
import Testing
import Training

/// Gradients against differences: the derivative of <output, direction> along every element of a value or a weight.
@Suite struct BackpropagationTests {
  private typealias Arrays = [String: Tensor<Float>]

  /// The value goes through two readers, so that its gradient has to come together.
  private func graph(of test: GradientCase) -> ModelGraph {
    let constants = test.constants.indices.map { index in
      Node(name: "constant \(index)", layer: "", operation: .array(.constant(test.constants[index])), inputs: [])
    }
    let others = test.others.indices.map { "other \($0)" }
    return ModelGraph(
      inputs: [.init(name: "x", shape: test.shape.map { $0 })]
        + zip(others, test.others).map { .init(name: $0, shape: $1.map { $0 }) },
      nodes: constants + [
        Node(name: "value", layer: "value", operation: .scaling(scale: [1], offset: [0]), inputs: ["x"]),
        Node(name: "half", layer: "half", operation: .scaling(scale: [-0.25], offset: [0]), inputs: ["value"]),
        Node(name: "sum", layer: "sum", operation: .merge(.add), inputs: ["value", "half"]),
      ]
        + others.map {
          Node(name: "copy of \($0)", layer: "", operation: .scaling(scale: [1], offset: [0]), inputs: [$0])
        }
        + [
          Node(
            name: "result", layer: "result", operation: test.operation,
            inputs: ["sum"] + others.map { "copy of \($0)" } + constants.map(\.name))
        ], outputs: [.init(name: "result", value: "result")])
  }

  /// Elements away from 0, 1/2 and the like, where functions have kinks: the differences must not step over one.
  private func elements(_ shape: [Int], seed: UInt64, isPositive: Bool) -> Tensor<Float> {
    var generator = SplitMix64(seed: seed)
    let count = shape.reduce(1, *)
    // All different, with gaps wider than the step.
    let order = generator.permutation(of: count)
    return Tensor(
      shape: shape,
      elements: order.map { place in
        let x = (Float(place) + 0.37) / Float(count)
        return isPositive ? 0.2 + x : 3 * x - 1.51
      })
  }

  @Test(arguments: GradientCase.all)
  func areTheDerivatives(test: GradientCase) throws {
    let graph = graph(of: test)
    var inputs: Arrays = ["x": elements(test.shape, seed: 1, isPositive: test.isPositive)]
    for (index, shape) in test.others.enumerated() {
      inputs["other \(index)"] = elements(shape, seed: 11 + UInt64(index), isPositive: test.isPositive)
    }
    var weights: Arrays = test.weights.mapValues { Tensor(gaussian: $0, seed: 7) }
    let stored: Arrays = [
      "m": Tensor(gaussian: [test.shape.last == 4 ? 4 : 3], seed: 3),
      "variance": Tensor(gaussian: [test.shape.last == 4 ? 4 : 3], seed: 4).map { $0 * $0 + 0.2 },
    ]
    let wanted = Set(["value"] + test.others.indices.map { "copy of other \($0)" })
    let backpropagation = Backpropagation(
      graph, trained: Set(weights.keys), wanted: wanted, statistics: test.usesBatchStatistics ? .batch : .stored)
    #expect(backpropagation.unreached.isEmpty)

    func run(_ direction: Tensor<Float>?) throws -> (output: Tensor<Float>, gradients: Arrays) {
      var output = Tensor<Float>(zeros: [])
      var gradients: Arrays = [:]
      try backpropagation.run(
        inputs,
        weight: { reference in try #require(weights[reference.name] ?? stored[reference.name]) },
        outputGradients: { outputs in
          output = outputs[0]
          return [direction ?? Tensor(zeros: outputs[0].shape)]
        }, observe: { gradients[$0] = $1 }, collect: { gradients.add([$0.name: $1]) })
      return (output, gradients)
    }
    let direction = Tensor<Float>(gaussian: try run(nil).output.shape, seed: 2)
    func inner() throws -> Double {
      zip(try run(nil).output.elements, direction.elements).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    let (output, gradients) = try run(direction)
    let step: Float = 1e-3
    let size = output.multiplied(by: direction).norm
    /// - Parameter place: moves one element of the array that the gradient is of.
    func check(_ name: String, _ gradient: Tensor<Float>, moving place: (Int, Float) -> Void) throws {
      // The outputs' rounding over the step, and the third derivative times its square.
      let tolerance = 4 * size * 0x1p-23 / Double(step) + 2e-3 * max(1, Double(gradient.elements.map(abs).max() ?? 0))
      for element in gradient.elements.indices {
        place(element, step)
        let above = try inner()
        place(element, -2 * step)
        let below = try inner()
        place(element, step)
        let difference = (above - below) / Double(2 * step)
        #expect(abs(difference - Double(gradient.elements[element])) <= tolerance, "\(test) \(name) \(element)")
      }
    }
    for (name, array) in inputs {
      let gradient = gradients[name == "x" ? "value" : "copy of \(name)"] ?? Tensor(zeros: array.shape)
      #expect(gradient.shape == array.shape)
      try check(name, gradient) { inputs[name]?.elements[$0] += $1 }
    }
    for (name, array) in weights {
      let gradient = try #require(gradients[name])
      #expect(gradient.shape == array.shape)
      try check(name, gradient) { weights[name]?.elements[$0] += $1 }
    }
  }

  /// Behind an operation without an adjoint nothing is claimed, not even by the other branch.
  @Test func whatIsUnknownHasNoGradient() throws {
    let graph = ModelGraph(
      inputs: [.init(name: "x", shape: [2, 4])],
      nodes: [
        Node(name: "value", layer: "value", operation: .bias("early", layout: .channelsLast), inputs: ["x"]),
        Node(
          name: "odd", layer: "odd", operation: .merge(.dot(axes: [1, 1], normalizes: true)),
          inputs: ["value", "value"]),
        Node(name: "even", layer: "even", operation: .bias("late", layout: .channelsLast), inputs: ["value"]),
        Node(name: "sum", layer: "sum", operation: .merge(.add), inputs: ["odd", "even"]),
      ], outputs: [.init(name: "sum", value: "sum")])
    let backpropagation = Backpropagation(graph, trained: ["early", "late"], wanted: ["value", "even"])
    #expect(backpropagation.unreached == ["early"])
    var observed: [String] = []
    var collected: [String] = []
    try backpropagation.run(
      ["x": Tensor(gaussian: [2, 4], seed: 4)], weight: { _ in Tensor(zeros: [4]) }, outputGradients: { $0 },
      observe: { name, _ in observed.append(name) }, collect: { reference, _ in collected.append(reference.name) })
    #expect(observed == ["even"])
    #expect(collected == ["late"])
  }
}

extension Tensor<Float> {
  fileprivate init(gaussian shape: [Int], seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    self.init(gaussian: shape, using: &generator)
  }
}
