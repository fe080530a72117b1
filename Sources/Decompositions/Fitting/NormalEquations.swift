import LinearAlgebra
import TensorCore

/// The least-squares problem of one factor, all others held: the approximation is F E, F the factor (digits x ranks) and E
/// its environment (ranks x the other factors' digits), and the best F solves F (E E^T) = W E^T.
///
/// The other factors fall into components that share no rank; E is the Kronecker product of theirs, so E E^T is a Kronecker
/// product of small Gram matrices and is solved one after the other. E itself is never formed where that is dearer.
/// A norm over the input patch changes how `gram` and `target` are contracted (`FactorProblem`) and makes the factor's part of
/// the patch one more axis of the system; sweeps, ridge and stopping stay as they are.
package struct NormalEquations {
  /// Some axes of `target` and E E^T over them, as a square matrix.
  package struct Component {
    package let axes: [Int]
    package let gram: Tensor<Double>
  }

  /// W E^T: (digits, ranks...), or (out, patch, ranks...).
  let target: Tensor<Double>
  let components: [Component]

  /// F with F (E E^T + ridge) = W E^T, and its loss ||W - F E||^2 where ||W|| = 1.
  ///
  /// F E E^T is what the equations say, so the loss takes no product: 1 - <F, W E^T> - ridge ||F||^2.
  ///
  /// - Throws: `Failure` when a Gram matrix with the ridge is not positive definite or not finite.
  func solution(ridge: Double) throws -> (factor: Tensor<Double>, loss: Double) {
    let factor = try Solver(components.map { ($0.axes, $0.gram) }, ridge: ridge).solve(target)
    var kept = 0.0
    for (x, y) in zip(factor.elements, target.elements) { kept += x * (y + ridge * x) }
    return (factor, max(0, 1 - kept))
  }

  /// A Kronecker product of matrices, ready to be solved with.
  struct Solver {
    private let parts: [(axes: [Int], cholesky: Cholesky)]

    /// - Throws: `Failure` when a matrix with the ridge is not positive definite or not finite.
    init(_ components: [(axes: [Int], gram: Tensor<Double>)], ridge: Double) throws {
      parts = try components.map { ($0.axes, try Cholesky($0.gram, ridge: ridge)) }
    }

    func solve(_ tensor: Tensor<Double>) throws -> Tensor<Double> {
      try parts.reduce(tensor) { solution, part in
        try NormalEquations.alongAxes(part.axes, of: solution) { try part.cholesky.solve(rows: $0) }
      }
    }
  }

  /// ||W - F E||^2 for any F, where ||W|| = 1.
  func loss(of factor: Tensor<Double>) -> Double {
    let image = components.reduce(factor) { product, component in
      Self.alongAxes(component.axes, of: product) { $0.times(component.gram) }
    }
    var sum = 1.0
    for i in factor.elements.indices { sum += factor.elements[i] * (image.elements[i] - 2 * target.elements[i]) }
    return max(0, sum)
  }

  /// Applies `body` to the matrix whose columns are the given axes.
  private static func alongAxes(
    _ axes: [Int], of tensor: Tensor<Double>, _ body: (Tensor<Double>) throws -> Tensor<Double>
  ) rethrows -> Tensor<Double> {
    let order = (0..<tensor.order).filter { !axes.contains($0) } + axes
    let turned = tensor.permuted(order)
    let columns = axes.reduce(1) { $0 * tensor.shape[$1] }
    let rows = columns > 0 ? tensor.count / columns : 0
    return try body(turned.reshaped([rows, columns])).reshaped(turned.shape)
      .permuted(order.inversePermutation)
  }
}
