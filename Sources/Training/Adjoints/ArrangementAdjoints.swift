import Basics
import ModelGraph
import TensorCore

/// The same elements under another shape.
struct ReshapingAdjoint: Adjoint {
  func gradients(_ pass: AdjointPass) -> AdjointResult {
    // Operands behind the first say what the shape is.
    AdjointResult(
      operands: [pass.gradient.reshaped(pass.operandShapes[0])] + pass.operandShapes.dropFirst().map { _ in nil })
  }
}

/// Axes in another order; nil reverses them.
struct PermutationAdjoint: Adjoint {
  let order: [Int]?

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    let order = order ?? pass.gradient.shape.indices.reversed()
    return AdjointResult(operands: [pass.gradient.permuted(order.inversePermutation)])
  }
}

/// The channel axis seen as several axes, in another order.
struct ChannelPermutationAdjoint: Adjoint {
  let axes: [Int]
  let order: [Int]
  let layout: ChannelLayout

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    let shape = pass.gradient.shape
    let axis = layout.channelAxis(rank: shape.count)
    let (outer, inner) = (shape[..<axis].reduce(1, *), shape[(axis + 1)...].reduce(1, *))
    let back = pass.gradient.reshaped([outer] + order.map { axes[$0] } + [inner])
      .permuted([0] + order.inversePermutation.map { $0 + 1 } + [axes.count + 1])
    return AdjointResult(operands: [back.reshaped(shape)])
  }
}

struct ConcatenationAdjoint: Adjoint {
  let axis: Int

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    let shape = pass.gradient.shape
    let axis = axis.normalizedAxis(rank: shape.count)
    let outer = shape[..<axis].reduce(1, *)
    let inner = shape[(axis + 1)...].reduce(1, *)
    let line = shape[axis] * inner
    var before = 0
    let parts = pass.operandShapes.map { own in
      let run = own[axis] * inner
      var elements: [Float] = []
      elements.reserveCapacity(outer * run)
      for row in 0..<outer {
        let start = row * line + before
        elements += pass.gradient.elements[start..<start + run]
      }
      before += run
      return Tensor(shape: own, elements: elements)
    }
    return AdjointResult(operands: parts)
  }
}

/// Every output element is a copy of one element of the first operand, or a constant: the node itself, given the elements' places, says
/// which, and the gradient goes back there.
struct SelectionAdjoint: Adjoint {
  /// Single precision counts to this.
  private static let mostElements = 1 << 24

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { .operands }

  func gradients(_ pass: AdjointPass) throws -> AdjointResult {
    let shape = pass.operandShapes[0]
    let count = shape.reduce(1, *)
    guard count < Self.mostElements else {
      throw Failure(
        "layer '\(pass.node.layer)'", "has no gradient", "its input has \(count) elements",
        remedy: "expected fewer than \(Self.mostElements): take smaller batches")
    }
    let others = Array(pass.operands.dropFirst())
    func moved(_ elements: [Float]) throws -> [Float] {
      try pass.run([Tensor(shape: shape, elements: elements)] + others, outputShape: pass.gradient.shape).elements
    }
    let places = try moved((0..<count).map { Float($0 + 1) })
    // What does not change with the operand is a constant.
    let constants = try moved(Array(repeating: 0, count: count))
    var result = [Float](repeating: 0, count: count)
    for i in places.indices where places[i] != constants[i] {
      result[Int(places[i]) - 1] += pass.gradient.elements[i]
    }
    return AdjointResult(operands: [Tensor(shape: shape, elements: result)] + others.map { _ in nil })
  }
}
