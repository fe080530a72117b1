import Foundation
import Inference
import ModelGraph
import TensorCore

/// The adjoint of a reduction over some axes. The operands are the data and the axes.
struct ReductionAdjoint: Adjoint {
  let kind: Reduction

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { [.operands, .output] }

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    guard let output = pass.output else { preconditionFailure("a reduction reads its output") }
    let data = pass.operands[0]
    let rank = data.order
    var axes = pass.operands.dropFirst().first?.elements.map { Int($0).normalizedAxis(rank: rank) } ?? []
    if axes.isEmpty { axes = output.count == data.count ? [] : Array(0..<rank) }
    let kept = data.shape.indices.map { axes.contains($0) ? 1 : data.shape[$0] }
    let gradient = pass.gradient.reshaped(kept).stretched(to: data.shape)
    let value = output.reshaped(kept).stretched(to: data.shape)
    let count = Float(data.count / max(1, output.count))
    let result: Tensor<Float>
    switch kind {
    case .sum: result = gradient
    case .mean: result = gradient.map { $0 / count }
    case .sumOfSquares: result = gradient.combined(with: data) { 2 * $0 * $1 }
    case .l1: result = gradient.combined(with: data) { $1 > 0 ? $0 : $1 < 0 ? -$0 : 0 }
    case .l2: result = gradient.multiplied(by: data.combined(with: value) { $1 == 0 ? 0 : $0 / $1 })
    case .logOfSum: result = gradient.combined(with: value) { $0 / expf($1) }
    case .logOfSumOfExponentials:
      result = gradient.multiplied(by: data.combined(with: value) { expf($0 - $1) })
    case .product: result = gradient.multiplied(by: data.combined(with: value) { $0 == 0 ? 0 : $1 / $0 })
    case .maximum, .minimum:
      let isFirst = data.combined(with: value) { $0 == $1 ? 1 : 0 }.firstsOnly(axes)
      result = gradient.multiplied(by: isFirst)
    }
    return AdjointResult(operands: [result] + pass.operandShapes.dropFirst().map { _ in nil })
  }
}

extension Tensor where Scalar == Float {
  /// The first of the ones over some axes alone; the others become 0.
  fileprivate func firstsOnly(_ axes: [Int]) -> Tensor {
    let order = shape.indices.filter { !axes.contains($0) } + axes.sorted()
    let turned = permuted(order)
    var result = turned.elements
    let count = axes.reduce(1) { $0 * shape[$1] }
    for start in stride(from: 0, to: result.count, by: Swift.max(1, count)) {
      let row = start..<start + count
      guard let first = row.first(where: { result[$0] == 1 }) else { continue }
      for i in row where i > first { result[i] = 0 }
    }
    return Tensor(shape: turned.shape, elements: result).permuted(order.inversePermutation)
  }
}
