import Basics
import Foundation
import Inference
import ModelGraph
import TensorCore
import Testing

@Suite struct ElementwiseTests {
  private static let points: [Float] = [-120, -7, -3, -1, -0.5, -0.1, 0, 0.1, 0.5, 1, 3, 6.5, 120]

  private static func logistic(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
  private static func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }

  /// Keras' definitions.
  static let functions: [(Activation, @Sendable (Double) -> Double)] = [
    (.linear, { $0 }),
    (.relu(), { max($0, 0) }),
    (.relu(negativeSlope: 0.2), { $0 < 0 ? 0.2 * $0 : $0 }),
    (.relu(negativeSlope: 0.5, threshold: 1, maximum: 6), { $0 >= 6 ? 6 : $0 >= 1 ? $0 : 0.5 * ($0 - 1) }),
    (.sigmoid, logistic), (.tanh, { tanh($0) }), (.softplus, softplus),
    (.softsign, { $0 / (1 + abs($0)) }), (.silu, { $0 * logistic($0) }),
    (.mish, { $0 * tanh(softplus($0)) }), (.logSigmoid, { -softplus(-$0) }),
    (.hardSigmoidKeras2, { min(max(0.2 * $0 + 0.5, 0), 1) }),
    (.hardSigmoid, { min(max($0 / 6 + 0.5, 0), 1) }),
    (.hardSilu, { $0 * min(max($0 / 6 + 0.5, 0), 1) }),
    (.hardTanh, { min(max($0, -1), 1) }), (.tanhShrink, { $0 - tanh($0) }),
    (.sparsePlus, { $0 <= -1 ? 0 : $0 >= 1 ? $0 : 0.25 * ($0 + 1) * ($0 + 1) }),
    (.sparseSigmoid, { $0 <= -1 ? 0 : $0 >= 1 ? 1 : 0.5 * ($0 + 1) }),
    (.squareplus(b: 4), { ($0 + ($0 * $0 + 4).squareRoot()) / 2 }),
    (.elu(alpha: 1.5), { $0 > 0 ? $0 : 1.5 * expm1($0) }),
    (.celu(alpha: 2), { max($0, 0) + min(0, 2 * expm1($0 / 2)) }),
    (.selu, { 1.0507009873554805 * ($0 > 0 ? $0 : 1.6732632423543772 * expm1($0)) }),
    (.gelu(approximate: false), { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) }),
    (
      .gelu(approximate: true),
      {
        0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0)))
      }
    ),
    (.softShrink(threshold: 0.4), { abs($0) <= 0.4 ? 0 : $0 - ($0 > 0 ? 0.4 : -0.4) }),
    (.hardShrink(threshold: 0.4), { abs($0) <= 0.4 ? 0 : $0 }),
    (.threshold(threshold: 0.3, value: -2), { $0 > 0.3 ? $0 : -2 }),
  ]

  @Test(arguments: functions.indices)
  func activationsFollowTheirFormulas(index: Int) throws {
    let (activation, formula) = Self.functions[index]
    let result = try run(.activation(activation), [Tensor(shape: [1, Self.points.count], elements: Self.points)])
    for (x, y) in zip(Self.points, result.elements) {
      let expected = formula(Double(Float(x)))
      // Formulas that subtract close numbers lose a few bits of the operands, not of the result.
      #expect(abs(Double(y) - expected) <= 2e-6 * max(1, abs(expected)), "\(activation) at \(x)")
    }
  }

  @Test func exponentialOverflowsToInfinity() throws {
    let result = try run(.activation(.exponential), [Tensor(shape: [1, 3], elements: [-1, 2, 120])])
    #expect(abs(result.elements[0] - 0.36787944) < 1e-6 && abs(result.elements[1] - 7.389056) < 1e-5)
    #expect(result.elements[2] == .infinity)
  }

  @Test(arguments: [(Activation.softmax(axis: -1), -1), (.softmax(axis: 1), 1), (.logSoftmax(axis: -1), -1)])
  func softmaxSumsToOneAlongItsAxis(activation: Activation, axis: Int) throws {
    // Large values must not overflow.
    let input = Tensor<Float>(gaussian: [2, 3, 4], seed: 6).map { $0 * 100 }
    let result = try run(.activation(activation), [input])
    let isLogarithm = activation == .logSoftmax(axis: -1)
    let along = axis == -1 ? 2 : 1
    for index in indices(of: [2, 3, 4]) {
      let line = (0..<input.shape[along]).map { position -> Double in
        var other = index
        other[along] = position
        return Double(input[other])
      }
      let largest = line.max() ?? 0
      let sum = line.reduce(0) { $0 + exp($1 - largest) }
      let expected = Double(input[index]) - largest - log(sum)
      let value = Double(result[index])
      #expect(abs(value - (isLogarithm ? expected : exp(expected))) <= 1e-4)
    }
  }

  @Test func sparsemaxProjectsOntoTheSimplex() throws {
    let result = try run(
      .activation(.sparsemax(axis: -1)), [Tensor(shape: [2, 3], elements: [2, 1.6, -1, 9, 0, 0])])
    let expected: [Float] = [0.7, 0.3, 0, 1, 0, 0]
    for (a, b) in zip(result.elements, expected) { #expect(abs(a - b) < 1e-6) }
  }

  @Test func gatedLinearUnitsHalveTheirAxis() throws {
    let result = try run(.activation(.glu(axis: -1)), [Tensor(shape: [1, 4], elements: [1, 2, 0, -1])])
    #expect(result.shape == [1, 2])
    #expect(abs(result.elements[0] - 0.5) < 1e-6 && abs(result.elements[1] - 2 * 0.26894143) < 1e-6)
  }

  @Test func notANumberIsNotSwallowed() throws {
    let input = Tensor<Float>(shape: [1, 2, 2, 1], elements: [1, .nan, -1, 2])
    let ones = Tensor<Float>(shape: [1, 1, 2, 2], elements: [1, 1, 1, 1])
    let convolved = try run(
      .convolution(
        Convolution(kernelShape: [1, 1, 2, 2], window: .unit(2)), layout: .channelsLast,
        kernel: TensorReference("k"), bias: nil), [input], weights: ["k": ones])
    #expect(convolved.elements[0].isNaN)
    for activation in [Activation.relu(), .relu(maximum: 6), .sigmoid, .tanh, .softmax(axis: 1), .elu(alpha: 1)] {
      #expect(try run(.activation(activation), [input]).elements.contains { $0.isNaN }, "\(activation)")
    }
    for kind in [Pooling.Kind.maximum, .average] {
      let pooled = try run(
        .pooling(Pooling(kind: kind, extents: [2, 2], window: .unit(2), layout: .channelsLast)), [input])
      #expect(pooled.elements[0].isNaN, "\(kind)")
    }
  }

  // MARK: Merging

  @Test func mergesBroadcast() throws {
    let a = Tensor<Float>(gaussian: [2, 3, 4], seed: 7)
    let b = Tensor<Float>(gaussian: [2, 1, 4], seed: 8)
    let formulas: [(Merge, (Float, Float) -> Float)] = [
      (.add, { $0 + $1 }), (.subtract, { $0 - $1 }), (.multiply, { $0 * $1 }),
      (.average, { ($0 + $1) / 2 }), (.maximum, { max($0, $1) }), (.minimum, { min($0, $1) }),
    ]
    for (merge, formula) in formulas {
      let result = try run(.merge(merge), [a, b])
      #expect(result.shape == [2, 3, 4])
      for index in indices(of: [2, 3, 4]) {
        #expect(abs(result[index] - formula(a[index], b[[index[0], 0, index[2]]])) <= 4 * .ulpOfOne, "\(merge)")
      }
    }
    let three = try run(.merge(.average), [a, a, a])
    #expect(three.largestDifference(from: a) <= 4 * .ulpOfOne)
  }

  @Test func concatenatesAlongAnyAxis() throws {
    let a = Tensor<Float>(gaussian: [2, 3, 4], seed: 9)
    let b = Tensor<Float>(gaussian: [2, 2, 4], seed: 10)
    let result = try run(.merge(.concatenate(axis: 1)), [a, b])
    #expect(result.shape == [2, 5, 4])
    for index in indices(of: [2, 5, 4]) {
      let expected = index[1] < 3 ? a[index] : b[[index[0], index[1] - 3, index[2]]]
      #expect(result[index] == expected)
    }
    let last = try run(.merge(.concatenate(axis: -1)), [a, a])
    #expect(last.shape == [2, 3, 8] && last[[1, 2, 5]] == a[[1, 2, 1]])
  }

  @Test func dotContractsOneAxis() throws {
    let a = Tensor<Float>(gaussian: [2, 3, 4], seed: 11)
    let b = Tensor<Float>(gaussian: [2, 5, 4], seed: 12)
    let result = try run(.merge(.dot(axes: [2, 2], normalizes: false)), [a, b])
    #expect(result.shape == [2, 3, 5])
    for index in indices(of: [2, 3, 5]) {
      let sum = (0..<4).reduce(Float(0)) { $0 + a[[index[0], index[1], $1]] * b[[index[0], index[2], $1]] }
      #expect(abs(result[index] - sum) <= 32 * .ulpOfOne)
    }
  }
}
