import LinearAlgebra
import ModelGraph
import TensorCore

/// Interpolation is a linear map along every axis by itself: what the node makes of unit vectors along one axis is that axis' matrix.
struct ResizingAdjoint: Adjoint {
  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { .operands }

  func gradients(_ pass: AdjointPass) throws -> AdjointResult {
    let shape = pass.operandShapes[0]
    var result = pass.gradient
    for axis in shape.indices where shape[axis] != pass.gradient.shape[axis] {
      // Along the other axes all are alike, so that what they make is, too.
      let (own, target) = (shape[axis], pass.gradient.shape[axis])
      var matrix: [Float] = []
      for unit in 0..<own {
        let inner = shape[(axis + 1)...].reduce(1, *)
        let input = (0..<shape.reduce(1, *)).map { Float($0 / inner % own == unit ? 1 : 0) }
        let output = try pass.run(
          [Tensor(shape: shape, elements: input)] + pass.operands.dropFirst(), outputShape: pass.gradient.shape)
        let step = pass.gradient.shape[(axis + 1)...].reduce(1, *)
        matrix += (0..<target).map { output.elements[$0 * step] }
      }
      result = result.times(Tensor(shape: [own, target], elements: matrix), along: axis)
    }
    return AdjointResult(operands: [result] + pass.operandShapes.dropFirst().map { _ in nil })
  }
}

extension Tensor where Scalar == Float {
  /// Every line along an axis multiplied by a matrix.
  fileprivate func times(_ matrix: Tensor, along axis: Int) -> Tensor {
    let order = shape.indices.filter { $0 != axis } + [axis]
    let turned = permuted(order)
    let rows = count / Swift.max(1, shape[axis])
    let product = turned.reshaped([rows, shape[axis]]).times(matrix, otherTransposed: true)
    return product.reshaped(turned.shape.dropLast() + [matrix.shape[0]]).permuted(order.inversePermutation)
  }
}
