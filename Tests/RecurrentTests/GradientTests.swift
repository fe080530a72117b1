import Basics
import TensorCore
import Testing

@testable import Recurrent

/// A small network of every kind with random parameters, and symbols for it.
struct Toy {
  static let (inputs, hidden, rank) = (5, 6, 4)
  let model: RecurrentModel
  let tokens: [Int]

  init(_ kind: RecurrentShape.Kind, seed: UInt64 = 1, length: Int = 200) {
    let shape = RecurrentShape(
      kind, hidden: Self.hidden, inputs: Self.inputs, rank: kind.hasRank ? Self.rank : 0)
    model = RecurrentModel(shape, Vocabulary(of: "abcd"), seed: seed)
    var generator = SplitMix64(seed: seed + 100)
    tokens = (0..<length).map { _ in Int(generator.nextUniform() * Double(Self.inputs)) }
  }

  func segment(rows: Int = 7, steps: Int = 9, states: [Float] = []) -> Segment {
    Segment(tokens, starts: (0..<rows).map { $0 * 11 }, steps: steps, states: states)
  }
}

@Suite struct GradientTests {
  /// The slope along a random direction of each parameter, against central differences. A step of 0.02 leaves an error of its square
  /// times the third derivative, and rounding of 1e-7 divided by it: 1e-3 of the gradient bounds both.
  @Test(arguments: RecurrentShape.Kind.allCases)
  func agreeWithDifferences(kind: RecurrentShape.Kind) throws {
    let toy = Toy(kind)
    var generator = SplitMix64(seed: 5)
    let states = (0..<7 * Toy.hidden).map { _ in Float(generator.nextUniform() - 0.5) }
    let segment = toy.segment(states: states)
    let pass = RecurrentPass(toy.model.shape)
    let gradients = pass.run(RecurrentWeights(toy.model), segment, gradientScale: 1).gradients
    #expect(Set(gradients.keys) == Set(toy.model.parameters.keys))
    for (name, parameter) in toy.model.parameters {
      let gradient = try #require(gradients[name])
      try #require(gradient.shape == parameter.shape)
      let random = Tensor<Float>(gaussian: parameter.shape, using: &generator)
      let direction = random.map { $0 / Float(random.norm) }
      func loss(_ step: Float) -> Double {
        var model = toy.model
        model.parameters[name] = parameter.adding(direction.map { $0 * step })
        return pass.run(RecurrentWeights(model), segment).loss
      }
      let difference = (loss(0.02) - loss(-0.02)) / 0.04
      let slope = zip(gradient.elements, direction.elements).reduce(0.0) { $0 + Double($1.0 * $1.1) }
      #expect(abs(slope - difference) <= 1e-3 * gradient.norm + 1e-4, "\(kind) \(name): \(slope), \(difference)")
      #expect(gradient.norm > 1e-3, "\(kind) \(name) has no gradient")
    }
  }

  /// A segment's rows do not see each other, and room from a larger segment leaves no trace.
  @Test(arguments: RecurrentShape.Kind.allCases)
  func rowsAreIndependent(kind: RecurrentShape.Kind) {
    let toy = Toy(kind)
    let weights = RecurrentWeights(toy.model)
    let shared = RecurrentPass(toy.model.shape)
    let whole = shared.run(weights, toy.segment(rows: 4, steps: 9), gradientScale: 1)
    var loss = 0.0
    var gradients: [String: Tensor<Float>] = [:]
    for row in 0..<4 {
      let own = shared.run(weights, Segment(toy.tokens, starts: [row * 11], steps: 9), gradientScale: 1)
      loss += own.loss
      for (name, gradient) in own.gradients { gradients[name] = gradients[name]?.adding(gradient) ?? gradient }
    }
    #expect(abs(loss - whole.loss) <= 1e-5 * loss)
    for (name, gradient) in whole.gradients {
      #expect(gradients[name]?.relativeDiscrepancy(from: gradient) ?? .nan <= 1e-5, "\(name)")
    }
  }

  /// Two halves with the state carried are the whole.
  @Test func statesCarry() {
    let toy = Toy(.cprnn)
    let weights = RecurrentWeights(toy.model)
    let pass = RecurrentPass(toy.model.shape)
    let whole = pass.run(weights, Segment(toy.tokens, starts: [0, 50], steps: 40))
    let first = pass.run(weights, Segment(toy.tokens, starts: [0, 50], steps: 20))
    let second = pass.run(weights, Segment(toy.tokens, starts: [20, 70], steps: 20, states: first.states))
    #expect(abs(first.loss + second.loss - whole.loss) <= 1e-5 * whole.loss)
    #expect(zip(second.states, whole.states).allSatisfy { abs($0 - $1) <= 1e-5 })
  }

  @Test func nothingHidesANaN() {
    let toy = Toy(.cprnn)
    for name in toy.model.parameters.keys {
      var model = toy.model
      var elements = model.parameters[name]?.elements ?? []
      for i in elements.indices { elements[i] = .nan }
      model.parameters[name] = Tensor(shape: model.parameters[name]?.shape ?? [], elements: elements)
      let loss = RecurrentPass(model.shape).run(RecurrentWeights(model), toy.segment()).loss
      #expect(loss.isNaN, "\(name): \(loss)")
      #expect(!model.isFinite)
    }
  }
}
