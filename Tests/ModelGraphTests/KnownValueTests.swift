import Basics
import TensorCore
import Testing

@testable import ModelGraph

/// What follows about elements of any count of axes is what the operations are.
@Suite struct KnownValueTests {
  private func literal(_ shape: [Int]) -> Literal {
    Literal(shape: shape, values: (0..<shape.reduce(1, *)).map { Double($0) })
  }

  private func value(_ operation: ArrayOperation, _ operands: Literal...) throws -> Literal? {
    let constants = operands.enumerated().map { index, literal in
      Node(name: "\(index)", layer: "", operation: .array(.constant(literal)), inputs: [])
    }
    return try ModelGraph(
      inputs: [],
      nodes: constants + [Node(name: "y", layer: "", operation: .array(operation), inputs: constants.map(\.name))],
      outputs: []
    ).literals()["y"]
  }

  @Test func elementsMoveAsInNumPy() throws {
    let data = literal([2, 3])
    #expect(try value(.transpose(order: nil), data) == Literal(shape: [3, 2], values: [0, 3, 1, 4, 2, 5]))
    #expect(
      try value(.tile, data, Literal([2, 1])) == Literal(shape: [4, 3], values: [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]))
    #expect(
      try value(.tile, data, Literal([1, 2]))
        == Literal(shape: [2, 6], values: [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]))
    #expect(
      try value(.expand, literal([2, 1]), Literal([2, 2, 3]))
        == Literal(shape: [2, 2, 3], values: [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]))
    #expect(
      try value(.slice, data, Literal([-1, 2]), Literal([.min, 0]), Literal([0, 1]), Literal([-1, -1]))
        == Literal(shape: [2, 2], values: [5, 4, 2, 1]))
    #expect(
      try value(.gather(axis: 1), data, Literal([2, -3])) == Literal(shape: [2, 2], values: [2, 0, 5, 3]))
    #expect(
      try value(.concatenate(axis: 1), data, literal([2, 1]))
        == Literal(shape: [2, 4], values: [0, 1, 2, 0, 3, 4, 5, 1]))
    #expect(
      try value(.part(axis: 1, index: 1, count: 2), data, Literal([1, 2]))
        == Literal(shape: [2, 2], values: [1, 2, 4, 5]))
    #expect(
      try value(.elementwise(.add), literal([3, 1]), literal([2]))
        == Literal(shape: [3, 2], values: [0, 1, 1, 2, 2, 3]))
    #expect(
      try value(.reduce(.sum, keepsAxes: false, ignoresMissingAxes: false), literal([2, 2, 2]), Literal([0, 2]))
        == Literal(shape: [2], values: [0 + 1 + 4 + 5, 2 + 3 + 6 + 7]))
    #expect(try value(.transpose(order: nil), literal([3, 0])) == Literal(shape: [0, 3], values: []))
  }

  @Test func largeContentIsNotFollowed() throws {
    #expect(try value(.expand, Literal(scalar: 1), Literal([1 << 12])) != nil)
    #expect(try value(.expand, Literal(scalar: 1), Literal([1 << 12, 2])) == nil)
    #expect(try value(.filled(value: 0), Literal([1 << 20, 1 << 20])) == nil)
  }

  /// Numbers without axes, as exporters compute extents with them.
  @Test func singleNumbers() throws {
    let graph = ModelGraph(
      inputs: [.init(name: "x", shape: [nil, 3, 8])],
      nodes: [
        Node(name: "size", layer: "", operation: .array(.size), inputs: ["x"]),
        Node(name: "r", layer: "", operation: .activation(.relu()), inputs: ["size"]),
        Node(name: "i", layer: "", operation: .identity, inputs: ["r"]),
        Node(name: "zero", layer: "", operation: .array(.constant(Literal([0]))), inputs: []),
        Node(name: "u", layer: "", operation: .array(.unsqueeze), inputs: ["i", "zero"]),
        Node(name: "y", layer: "", operation: .array(.reshape(keepsZero: false)), inputs: ["x", "u"]),
      ], outputs: [.init(name: "y", value: "y")])
    #expect(try graph.shapes(batch: 2)["y"] == [48])
    #expect(try graph.shapes()["y"] == [nil])
  }

  @Test func misfitsBecomeUnsupported() throws {
    let graph = ModelGraph(
      inputs: [.init(name: "x", shape: [nil, 3])],
      nodes: [
        Node(name: "a", layer: "a", operation: .array(.constant(Literal([5, 5]))), inputs: []),
        Node(name: "b", layer: "b", operation: .array(.expand), inputs: ["x", "a"]),
        Node(name: "y", layer: "y", operation: .activation(.tanh), inputs: ["b"]),
      ], outputs: [.init(name: "y", value: "y")])
    #expect(throws: Failure.self) { try graph.shapes() }
    let marked = graph.markingMisfits { _ in "Expand" }
    #expect(try marked.shapes()["y"] == nil)
    #expect(marked.unsupportedNode?.hasPrefix("layer 'b': which does not fit its input") == true)
  }
}
