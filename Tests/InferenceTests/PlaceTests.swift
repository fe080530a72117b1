import ModelGraph
import TensorCore
import Testing

@testable import Inference

/// Operations on places, against their definitions.
@Suite struct PlaceTests {
  private func run(_ operation: ArrayOperation, _ inputs: [Tensor<Float>], shape: [Int]) throws -> [Float] {
    let node = Node(
      name: "y", layer: "y", operation: .array(operation), inputs: inputs.indices.map { "x\($0)" })
    return try NodeRunner(node) { _ in Tensor(zeros: []) }.run(inputs, outputShape: shape).elements
  }

  private func vector(_ values: Float...) -> Tensor<Float> { Tensor(shape: [values.count], elements: values) }

  @Test func placesThatDoNotExistAreRefused() {
    let data = vector(1, 2, 3)
    for operation in [ArrayOperation.gatherElements(axis: 0), .gather(axis: 0)] {
      #expect(throws: (any Error).self) { try run(operation, [data, vector(3)], shape: [1]) }
      #expect(throws: (any Error).self) { try run(operation, [data, vector(-4)], shape: [1]) }
    }
    #expect(throws: (any Error).self) {
      try run(.scatterElements(axis: 0, .add), [data, vector(5), vector(1)], shape: [3])
    }
    #expect(throws: (any Error).self) {
      try run(.scatterPoints(.replace), [data, Tensor(shape: [1, 1], elements: [7]), vector(1)], shape: [3])
    }
  }

  @Test func whatIsScatteredCanBeGathered() throws {
    let places = vector(2, -3, 1)
    let updates = vector(5, 6, 7)
    let scattered = try run(.scatterElements(axis: 0, .replace), [vector(0, 0, 0), places, updates], shape: [3])
    #expect(scattered == [6, 7, 5])
    let data = Tensor<Float>(shape: [3], elements: scattered)
    #expect(try run(.gatherElements(axis: 0), [data, places], shape: [3]) == updates.elements)
    #expect(try run(.scatterElements(axis: 0, .maximum), [data, vector(0, 0, 0), updates], shape: [3]) == [7, 7, 5])
  }

  /// Equal elements keep their order, whichever end comes first.
  @Test func theTopIsSorted() throws {
    let data = vector(2, 5, 2, 9, 5)
    #expect(try run(.top(axis: 0, largest: true, places: false), [data, vector(3)], shape: [3]) == [9, 5, 5])
    #expect(try run(.top(axis: 0, largest: true, places: true), [data, vector(3)], shape: [3]) == [3, 1, 4])
    #expect(try run(.top(axis: 0, largest: false, places: true), [data, vector(3)], shape: [3]) == [0, 2, 1])
  }

  @Test func anEinsumIsASumOfProducts() throws {
    let a = Tensor<Float>(gaussian: [2, 3, 4], seed: 1)
    let b = Tensor<Float>(gaussian: [4, 3, 5], seed: 2)
    let c = Tensor<Float>(gaussian: [5], seed: 3)
    let result = Tensor(
      shape: [5, 2], elements: try run(.einsum(try EinsumEquation("aij,jik,k->ka")), [a, b, c], shape: [5, 2]))
    for k in 0..<5 {
      for s in 0..<2 {
        var sum: Float = 0
        for i in 0..<3 { for j in 0..<4 { sum += a[[s, i, j]] * b[[j, i, k]] * c[[k]] } }
        #expect(abs(result[[k, s]] - sum) < 1e-4)
      }
    }
  }

  @Test(arguments: ["ij,jk->ikk", "i1->i", "ij->k", "a->b->c", "..i..j->ij"])
  func whatIsNoEquationIsRefused(_ text: String) {
    #expect(throws: (any Error).self) { try EinsumEquation(text) }
  }

  /// Whole numbers of few bits, as two's complement has them.
  @Test func smallIntegersWrap() {
    for value in -700...700 {
      let exact = Double(value)
      #expect(ElementFunction.wrapped(exact, bits: 8, isSigned: true) == Double(Int8(truncatingIfNeeded: value)))
      #expect(ElementFunction.wrapped(exact, bits: 8, isSigned: false) == Double(UInt8(truncatingIfNeeded: value)))
    }
  }
}
