import Basics
import Testing

@testable import ModelGraph

@Suite struct ArrayTests {
  /// Against the definition: walk from the start by steps while inside.
  @Test func slicesAreThoseOfNumPy() {
    for extent in 0...5 {
      for start in -7...7 {
        for end in -7...7 {
          for step in [-3, -2, -1, 1, 2, 3] {
            let bounds = SliceBounds(start: start, end: end, step: step, extent: extent)
            func placed(_ x: Int) -> Int {
              let counted = x < 0 ? x + extent : x
              return step > 0 ? min(max(counted, 0), extent) : min(max(counted, -1), extent - 1)
            }
            let expected = Array(stride(from: placed(start), to: placed(end), by: step))
            #expect(bounds.count == expected.count)
            if let first = expected.first { #expect(bounds.first == first) }
          }
        }
      }
    }
    #expect(SliceBounds(start: 0, end: .max, step: 1, extent: 4).count == 4)
    #expect(SliceBounds(start: -1, end: .min, step: -1, extent: 4).count == 4)
  }

  private func graph(_ nodes: [Node], shape: [Int?]) -> ModelGraph {
    ModelGraph(
      inputs: [.init(name: "x", shape: shape)], nodes: nodes, outputs: [.init(name: "y", value: "y")])
  }

  private func node(_ name: String, _ operation: ArrayOperation, _ inputs: String...) -> Node {
    Node(name: name, layer: name, operation: .array(operation), inputs: inputs)
  }

  /// [batch, half of the height, rest], computed from the shape of the input as exporters write it.
  @Test func shapesFollowFromShapes() throws {
    let network = graph(
      [
        node("shape", .shape(axes: 0..<4), "x"), node("two", .constant(Literal([2]))),
        node("height", .gather(axis: 0), "shape", "two"), node("half", .elementwise(.integerDivide), "height", "two"),
        node("zero", .constant(Literal([0]))), node("batch", .gather(axis: 0), "shape", "zero"),
        node("rest", .constant(Literal([-1]))), node("target", .concatenate(axis: 0), "batch", "half", "rest"),
        node("y", .reshape(keepsZero: false), "x", "target"),
      ], shape: [nil, 3, 8, 5])
    #expect(try network.shapes()["y"] == [nil, 4, nil])
    #expect(try network.shapes(batch: 2)["y"] == [2, 4, 30])
    #expect(try network.shapes(inputs: ["x": [7, 3, 8, 5]])["y"] == [7, 4, 30])
  }

  @Test func whatDoesNotFitIsRefused() {
    func expectMisfit(_ message: String, _ operation: ArrayOperation, _ literal: Literal) {
      #expect {
        try graph([node("l", .constant(literal)), node("y", operation, "x", "l")], shape: [2, 3, 4]).shapes()
      } throws: {
        "\($0)".contains(message)
      }
    }
    expectMisfit("cannot become", .reshape(keepsZero: false), Literal([5, 5]))
    expectMisfit("two open extents", .reshape(keepsZero: false), Literal([-1, -1]))
    expectMisfit("axis 7 does not exist", .unsqueeze, Literal([7]))
    expectMisfit("differ", .elementwise(.add), Literal(shape: [5], values: [1, 2, 3, 4, 5]))
    expectMisfit("loses more", .pad(.constant, value: 0), Literal([-2, 0, 0, -1, 0, 0]))
    expectMisfit("equal inner extents", .matrixProduct, Literal(shape: [3, 2], values: Array(repeating: 0, count: 6)))
  }
}
