import TensorCore
import Testing

@testable import Recurrent

/// Conversions that the mathematics says are exact are so to single precision.
@Suite struct ConversionTests {
  private func expectEqual(_ a: RecurrentModel, _ b: RecurrentModel, location: SourceLocation = #_sourceLocation) {
    let toy = Toy(a.shape.kind)
    let (x, y) = (logits(a, toy), logits(b, toy))
    #expect(x.relativeDiscrepancy(from: y) <= 1e-6, "\(x.relativeDiscrepancy(from: y))", sourceLocation: location)
  }

  private func logits(_ model: RecurrentModel, _ toy: Toy) -> Tensor<Float> {
    RecurrentPass(model.shape).logits(RecurrentWeights(model), toy.segment(rows: 5, steps: 30)).logits
  }

  @Test(arguments: [RecurrentShape.Kind.rnn, .mirnn, .cprnn, .cpbirnn])
  func secondOrderNetworksContainAllOthers(kind: RecurrentShape.Kind) {
    let model = Toy(kind).model
    let second = model.secondOrder()
    #expect(second.shape.kind == (kind == .cpbirnn ? .birnn : .secondOrder))
    expectEqual(model, second)
  }

  @Test func aGateIsACanonicalTermOfRankN() {
    let model = Toy(.mirnn).model
    let canonical = model.canonicalGate()
    #expect(canonical.shape == RecurrentShape(.cprnn, hidden: Toy.hidden, inputs: Toy.inputs, rank: Toy.hidden))
    expectEqual(model, canonical)
  }

  /// R >= min(n^2, n d), on both sides of n = d.
  @Test(arguments: [(RecurrentShape.Kind.secondOrder, 0), (.birnn, 3)])
  func aCanonicalTermOfFullRankIsAnyTensor(kind: RecurrentShape.Kind, more: Int) {
    let model = Toy(kind).model
    expectEqual(model, model.canonical(ofFullRank: RecurrentModel.fullRank(model.shape) + more))
    let narrow = RecurrentModel(RecurrentShape(kind, hidden: 3, inputs: Toy.inputs), model.vocabulary, seed: 4)
    #expect(RecurrentModel.fullRank(narrow.shape) == 9)
    expectEqual(narrow, narrow.canonical(ofFullRank: 9 + more))
  }

  /// E[z z^T] and E[g g^T] against sums over single positions.
  @Test func momentsAreThoseOfStatesAndSlopes() {
    let toy = Toy(.secondOrder)
    let weights = RecurrentWeights(toy.model)
    let pass = RecurrentPass(toy.model.shape)
    let segment = toy.segment(rows: 3, steps: 6)
    var moments = StateMoments(toy.model.shape)
    pass.observe(weights, segment, into: &moments)
    let (n, d) = (Toy.hidden, Toy.inputs)
    var expected = [Double](repeating: 0, count: n * d * n * d)
    for row in 0..<3 {
      for step in 0..<6 {
        // The states before a step are those after a run of that many.
        let states =
          step == 0
          ? [Float](repeating: 0, count: n)
          : pass.run(weights, Segment(toy.tokens, starts: [row * 11], steps: step)).states
        let x = segment.inputs[step * 3 + row]
        for i in 0..<n {
          for j in 0..<n {
            expected[(i * d + x) * n * d + j * d + x] += Double(states[i]) * Double(states[j]) / 18
          }
        }
      }
    }
    let moment = moments.inputMoment
    #expect(moment.relativeDiscrepancy(from: Tensor(shape: moment.shape, elements: expected)) <= 1e-5)
    // The trace of E[g g^T] with the bias's gradient as the sum of g.
    #expect(moments.outputMoment.trace > 0 && moments.outputMoment.isFinite)
  }
}
