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
    let results = try pass.operands.indices.map { index in
      pass.isWanted[index] ? try gradient(ofOperand: index, pass, axes, extents) : nil
    }
    return AdjointResult(operands: results)
  }

  private func gradient(
    ofOperand index: Int, _ pass: AdjointPass, _ axes: EinsumEquation.Axes, _ extents: [Int: Int]
  ) throws -> Tensor<Float> {
    let others = pass.operands.indices.filter { $0 != index }
    var factors = [axes.output] + others.map { axes.operands[$0] }
    var values = [pass.gradient] + others.map { pass.operands[$0] }
    // An axis that is there twice has a gradient on the diagonal only: the second one becomes an axis of its own.
    var own: [Int] = []
    var next = (extents.keys.max() ?? 0) + 1
    for name in axes.operands[index] {
      guard own.contains(name) else {
        own.append(name)
        continue
      }
      let extent = extents[name] ?? 1
      factors.append([name, next])
      values.append(
        Tensor(
          shape: [extent, extent],
          elements: (0..<extent * extent).map { $0 / extent == $0 % extent ? 1 : 0 }))
      own.append(next)
      next += 1
    }
    // Ones stand for the operand, so that axes that nothing else has are there.
    let shape = axes.operands[index].map { extents[$0] ?? 1 }
    factors.append(own)
    values.append(Tensor(shape: shape, elements: Array(repeating: 1, count: shape.reduce(1, *))))
    let product = Node(
      name: pass.node.name, layer: pass.node.layer,
      operation: .array(.einsum(EinsumEquation(operands: factors, output: own))), inputs: [])
    return try NodeRunner(product, parameter: pass.weight).run(values, outputShape: shape)
      .summed(to: pass.operandShapes[index])
  }
}
