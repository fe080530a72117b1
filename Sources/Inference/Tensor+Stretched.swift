import TensorCore

extension Tensor where Scalar == Float {
  /// Axes of extent 1 stretched so that the tensor has `target`'s shape.
  ///
  /// - Precondition: as many axes, each of the same extent or 1.
  package func stretched(to target: [Int]) -> Tensor { Value(self).stretched(to: target).tensor }
}
