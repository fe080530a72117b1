import Inference
import ModelGraph
import TensorCore

/// A sum up to a place gives its gradient to all places before: the sum from the other end.
struct CumulativeSumAdjoint: Adjoint {
  let axis: Int
  let excludesOwn: Bool
  let fromEnd: Bool

  func gradients(_ pass: AdjointPass) throws -> AdjointResult {
    let back = Node(
      name: pass.node.name, layer: pass.node.layer,
      operation: .array(.cumulativeSum(axis: axis, excludesOwn: excludesOwn, fromEnd: !fromEnd)), inputs: [""])
    let gradient = try NodeRunner(back, parameter: pass.weight).run(
      [pass.gradient], outputShape: pass.gradient.shape)
    return AdjointResult(operands: [gradient])
  }
}

/// The gradient of one operand is the product of the gradient and all other operands, with its own axes as the result.
struct EinsumAdjoint: Adjoint {
  let equation: EinsumEquation

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { .operands }

  func gradients(_ pass: AdjointPass) throws -> AdjointResult {
    let axes = try equation.axes(ranks: pass.operandShapes.map(\.count))
    var extents: [Int: Int] = [:]
    for (names, shape) in zip(axes.operands, pass.operandShapes) {
      for (name, extent) in zip(names, shape) { extents[name] = max(extents[name] ?? 1, extent) }
    }
    return AdjointResult(
      operands: try pass.operands.indices.map { index in
        guard pass.isWanted[index] else { return nil }
        let own = axes.operands[index]
        let others = pass.operands.indices.filter { $0 != index }
        // Ones stand for the operand, so that axes that nothing else has are there.
        let ones = Tensor<Float>(
          shape: own.map { extents[$0] ?? 1 },
          elements: Array(repeating: 1, count: own.reduce(1) { $0 * (extents[$1] ?? 1) }))
        let product = Node(
          name: pass.node.name, layer: pass.node.layer,
          operation: .array(
            .einsum(EinsumEquation(operands: [axes.output] + others.map { axes.operands[$0] } + [own], output: own))),
          inputs: [])
        return try NodeRunner(product, parameter: pass.weight)
          .run([pass.gradient] + others.map { pass.operands[$0] } + [ones], outputShape: ones.shape)
          .summed(to: pass.operandShapes[index])
      })
  }
}
