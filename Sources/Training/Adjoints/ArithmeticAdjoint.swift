import Foundation
import Inference
import ModelGraph
import TensorCore

/// One element from the operands' elements at the same place, where axes of extent 1 stretch.
struct ArithmeticAdjoint: Adjoint {
  let arithmetic: Arithmetic
  /// Whether shapes are aligned at the batch and from the right after it, as Keras has it, and not from the right alone.
  let beginsWithBatch: Bool

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads {
    switch arithmetic {
    case .sum, .difference, .mean: []
    case .product, .quotient, .power, .maximum, .minimum, .selection, .parametricReLU: .operands
    }
  }

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    let shape = pass.gradient.shape
    let aligned = pass.operandShapes.map { align($0, rank: shape.count) }
    let operands = zip(pass.operands, aligned).map { $0.reshaped($1).stretched(to: shape) }
    let count = pass.operandShapes.count
    return AdjointResult(
      operands: (0..<count).map { index in
        guard pass.isWanted[index], let part = part(of: index, count, pass.gradient, operands) else { return nil }
        return part.summed(to: aligned[index]).reshaped(pass.operandShapes[index])
      })
  }

  private func align(_ shape: [Int], rank: Int) -> [Int] {
    let ones = Array(repeating: 1, count: rank - shape.count)
    return beginsWithBatch ? shape.prefix(1) + ones + shape.dropFirst() : ones + shape
  }

  /// An operand's gradient before what was stretched is summed; nil where the output does not change with it.
  private func part(
    of index: Int, _ count: Int, _ gradient: Tensor<Float>, _ operands: [Tensor<Float>]
  ) -> Tensor<Float>? {
    switch arithmetic {
    case .sum: return gradient
    case .difference: return index == 0 ? gradient : gradient.map(-)
    case .mean: return gradient.map { $0 / Float(count) }
    case .product:
      return operands.indices.filter { $0 != index }.reduce(gradient) { $0.multiplied(by: operands[$1]) }
    case .quotient:
      let inverse = gradient.combined(with: operands[1]) { $0 / $1 }
      return index == 0
        ? inverse
        : inverse.multiplied(by: operands[0].combined(with: operands[1]) { -$0 / $1 })
    case .power:
      let factor =
        index == 0
        ? operands[0].combined(with: operands[1]) { $1 == 0 ? 0 : $1 * powf($0, $1 - 1) }
        : operands[0].combined(with: operands[1]) { $0 > 0 ? powf($0, $1) * logf($0) : 0 }
      return gradient.multiplied(by: factor)
    case .maximum, .minimum:
      // The first operand that has the value gets all.
      let isLargest = arithmetic == .maximum
      let elements = gradient.elements.indices.map { i -> Float in
        var best = 0
        for other in operands.indices.dropFirst() {
          let (a, b) = (operands[other].elements[i], operands[best].elements[i])
          if isLargest ? a > b : a < b { best = other }
        }
        return best == index ? gradient.elements[i] : 0
      }
      return Tensor(shape: gradient.shape, elements: elements)
    case .selection:
      return index == 0 ? nil : gradient.combined(with: operands[0]) { ($1 != 0) == (index == 1) ? $0 : 0 }
    case .parametricReLU:
      return index == 0
        ? gradient.multiplied(by: operands[0].combined(with: operands[1]) { $0 < 0 ? $1 : 1 })
        : gradient.combined(with: operands[0]) { $1 < 0 ? $0 * $1 : 0 }
    }
  }
}
