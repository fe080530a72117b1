import Foundation
import ModelGraph
import TensorCore
import Testing

@Suite struct RecurrentLayerTests {
  private static let (features, hidden) = (3, 2)

  /// A graph of one recurrent layer over (steps, batch, features), with a mask (steps, batch) where it takes one.
  private func run(
    _ kind: RecurrentLayer.Kind, _ data: Tensor<Float>, mask: [Float]? = nil,
    _ change: (inout RecurrentLayer) -> Void = { _ in }
  ) throws -> Tensor<Float> {
    var layer = RecurrentLayer(
      kind: kind, hiddenCount: Self.hidden, directions: [false], inputWeights: TensorReference("w"),
      hiddenWeights: TensorReference("r"), bias: TensorReference("b"), resetsAfterProduct: true, hasInitialState: false,
      result: .sequence)
    if mask != nil { layer.mask = .keepsOutput }
    change(&layer)
    let rows = kind.gateCount * Self.hidden
    func numbers(_ shape: [Int]) -> Tensor<Float> {
      Tensor(shape: shape, elements: (0..<shape.reduce(1, *)).map { sin(Float($0) + Float(shape.count)) })
    }
    let weights = [
      "w": numbers([1, rows, Self.features]), "r": numbers([1, rows, Self.hidden]), "b": numbers([2 * rows]),
    ]
    let masks = mask.map { [Tensor<Float>(shape: [data.shape[0], data.shape[1]], elements: $0)] } ?? []
    return try InferenceTests.run(.array(.recurrent(layer)), [data] + masks, weights: weights)
  }

  private static let sequence = Tensor<Float>(shape: [4, 1, 3], elements: (0..<12).map { cos(Float($0)) })

  /// Steps that do not count are as if they were not there.
  @Test(arguments: [RecurrentLayer.Kind.lstm, .gru, .rnn])
  func masksSkipSteps(kind: RecurrentLayer.Kind) throws {
    let x = Self.sequence.elements
    let short = try run(kind, Tensor(shape: [2, 1, 3], elements: Array(x[3..<6] + x[9..<12])))
    let masked = try run(kind, Self.sequence, mask: [0, 1, 0, 1])
    let (first, second) = (Array(short.elements[..<2]), Array(short.elements[2...]))
    #expect(masked.elements == [0, 0] + first + first + second)
    let zeroed = try run(kind, Self.sequence, mask: [0, 1, 0, 1]) { $0.mask = .zeroesOutput }
    #expect(zeroed.elements == [0, 0] + first + [0, 0] + second)
    #expect(Set(masked.elements).count > 4)
  }

  /// The same blocks in Keras's order.
  @Test func gatesStandInTheirOrder() throws {
    let onnx = try run(.lstm, Self.sequence)
    let keras = try run(.lstm, Self.sequence) { $0.gateOrder = .inputForgetCandidateOutput }
    #expect(onnx.elements != keras.elements)
  }

  @Test func activationsAreThoseOfTheLayer() throws {
    let usual = try run(.lstm, Self.sequence)
    let other = try run(.lstm, Self.sequence) {
      $0.activations = RecurrentLayer.Activations(gate: .hardSigmoid, candidate: .relu(), output: .relu())
    }
    #expect(usual.elements != other.elements && other.elements.allSatisfy { $0 >= 0 })
  }

  @Test func refusesMasksAndStatesOfOtherShapes() throws {
    #expect(throws: (any Error).self) {
      try run(.gru, Self.sequence, mask: [0, 1, 0, 1]) { $0.hasInitialState = true }
    }
  }
}
