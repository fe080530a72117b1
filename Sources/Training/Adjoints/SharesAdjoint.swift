import Foundation
import ModelGraph
import TensorCore

/// Softmax and its kin: elements along an axis compete.
struct SharesAdjoint: Adjoint {
  enum Kind { case softmax, logSoftmax, sparsemax }

  let kind: Kind
  /// The axis, or where `isTrailing` the first of those that compete as one.
  let axes: Int
  let isTrailing: Bool

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { .output }

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    guard let output = pass.output else { preconditionFailure("shares read their output") }
    let rank = output.order
    let axis = axes.normalizedAxis(rank: rank)
    if isTrailing {
      return AdjointResult(operands: [
        rows(pass.gradient, output, of: output.shape[axis...].reduce(1, *)).reshaped(output.shape)
      ])
    }
    let order = output.shape.indices.filter { $0 != axis } + [axis]
    let result = rows(pass.gradient.permuted(order), output.permuted(order), of: output.shape[axis])
    return AdjointResult(operands: [result.permuted(order.inversePermutation)])
  }

  private func rows(_ gradient: Tensor<Float>, _ output: Tensor<Float>, of count: Int) -> Tensor<Float> {
    var result = gradient.elements
    let y = output.elements
    for start in stride(from: 0, to: result.count, by: max(1, count)) {
      let range = start..<start + count
      switch kind {
      case .softmax:
        let mean = range.reduce(Float(0)) { $0 + y[$1] * result[$1] }
        for i in range { result[i] = y[i] * (result[i] - mean) }
      case .logSoftmax:
        let sum = range.reduce(Float(0)) { $0 + result[$1] }
        for i in range { result[i] -= expf(y[i]) * sum }
      case .sparsemax:
        let support = range.filter { y[$0] > 0 }
        let mean = support.reduce(Float(0)) { $0 + result[$1] } / Float(max(1, support.count))
        for i in range { result[i] = y[i] > 0 ? result[i] - mean : 0 }
      }
    }
    return Tensor(shape: gradient.shape, elements: result)
  }
}

/// The first half along an axis times the logistic function of the second.
struct GatedAdjoint: Adjoint {
  let axis: Int

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { .operands }

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    let input = pass.operands[0]
    let axis = axis.normalizedAxis(rank: input.order)
    let half = input.shape[axis] / 2 * input.shape[(axis + 1)...].reduce(1, *)
    var result = input.elements
    for (block, start) in stride(from: 0, to: result.count, by: max(1, 2 * half)).enumerated() {
      for i in 0..<half {
        let (value, gradient) = (result[start + i], pass.gradient.elements[block * half + i])
        let gate = 1 / (1 + expf(-result[start + half + i]))
        result[start + i] = gradient * gate
        result[start + half + i] = gradient * value * gate * (1 - gate)
      }
    }
    return AdjointResult(operands: [Tensor(shape: input.shape, elements: result)])
  }
}
