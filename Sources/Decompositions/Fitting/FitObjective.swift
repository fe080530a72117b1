import Basics
import LinearAlgebra
import TensorCore

/// What a fit brings close: a kernel, in the norm of its weights or in that of the layer's inputs.
///
/// With the second moment S = E[x x^T] of the layer's input patches x, ||(W - What) S^(1/2)||^2 is the expected squared error
/// of the layer's output; without one, S is the identity and the norm is Frobenius's.
public struct FitObjective: Sendable {
  /// (out, in, spatial...).
  public let kernel: Tensor<Double>
  /// Symmetric, positive semidefinite, (patch x patch) over (in, spatial...), with a mean diagonal of 1; nil for the identity.
  public let metric: Tensor<Double>?
  /// W S, in the kernel's shape.
  let weighted: Tensor<Double>
  /// ||W S^(1/2)||.
  public let norm: Double

  /// - Parameters:
  ///   - kernel: (out, in, spatial...).
  ///   - secondMoment: (patch x patch) over (in, spatial...) at any scale; nil for the norm of the weights.
  /// - Throws: `Failure` when the kernel or the second moment holds NaN or infinity, or the latter has no positive trace.
  /// - Precondition: the second moment fits the kernel.
  public init(_ kernel: Tensor<Double>, secondMoment: Tensor<Double>? = nil) throws {
    guard kernel.isFinite else { throw Failure.kernelNotFinite }
    self.kernel = kernel
    guard let secondMoment else {
      (metric, weighted, norm) = (nil, kernel, kernel.norm)
      return
    }
    let patch = kernel.shape.dropFirst().reduce(1, *)
    precondition(secondMoment.shape == [patch, patch], "\(secondMoment.shape) is no metric for \(kernel.shape)")
    let trace = (0..<patch).reduce(0) { $0 + secondMoment.elements[$1 * patch + $1] }
    guard secondMoment.isFinite, trace > 0, trace.isFinite else {
      throw Failure(
        "second moment", "gives no norm", "it is zero or holds NaN or infinity",
        remedy: "expected inputs that are finite and not all zero")
    }
    let scaled = secondMoment.map { $0 * Double(patch) / trace }
    let product = kernel.reshaped([kernel.shape[0], patch]).times(scaled).reshaped(kernel.shape)
    metric = scaled
    weighted = product
    norm = max(0, zip(kernel.elements, product.elements).reduce(0) { $0 + $1.0 * $1.1 }).squareRoot()
  }

  /// What a layer has to do when its inputs are no longer those that it was made for: E||W x - What y||^2, with x its inputs in
  /// the original network and y those that it gets now. That is the norm of y around W E[x y^T] E[y y^T]^-1.
  ///
  /// - Parameters:
  ///   - secondMoment: E[y y^T], positive definite.
  ///   - crossMoment: E[x y^T].
  /// - Throws: as above, and where the second moment has no inverse.
  public init(_ kernel: Tensor<Double>, secondMoment: Tensor<Double>, crossMoment: Tensor<Double>) throws {
    let patch = kernel.shape.dropFirst().reduce(1, *)
    let target = try Cholesky(secondMoment).solve(rows: kernel.reshaped([kernel.shape[0], patch]).times(crossMoment))
    try self.init(target.reshaped(kernel.shape), secondMoment: secondMoment)
  }

  /// ||(W - What) S^(1/2)|| / ||W S^(1/2)||; 0 where both are zero.
  public func discrepancy(of approximation: Tensor<Double>) -> Double {
    guard let metric else { return approximation.relativeDiscrepancy(from: kernel) }
    let difference = Tensor(
      shape: [kernel.shape[0], metric.shape[0]],
      elements: zip(kernel.elements, approximation.elements).map { $0 - $1 })
    let image = difference.times(metric)
    let square = zip(difference.elements, image.elements).reduce(0) { $0 + $1.0 * $1.1 }
    return norm > 0 ? max(0, square).squareRoot() / norm : (square == 0 ? 0 : .infinity)
  }

  /// The metric with its axes rearranged to (patch of factor 0, patch of factor 1, ..., the same again).
  func metric(rearrangedFor form: FactorForm) -> Tensor<Double>? {
    metric.map { metric in
      let (factors, modes) = (form.factorCount, form.kernelShape.count - 1)
      let digits = (0..<modes).flatMap { mode in form.shapes.map { $0[mode + 1] } }
      let order = (0..<factors).flatMap { k in (0..<modes).map { $0 * factors + k } }
      let extents = form.shapes.map { $0.dropFirst().reduce(1, *) }
      return metric.reshaped(digits + digits)
        .permuted(order + order.map { $0 + digits.count }).reshaped(extents + extents)
    }
  }
}

extension Failure {
  static let kernelNotFinite = Failure(
    "kernel", "cannot be decomposed", "it holds NaN or infinity", remedy: "expected finite weights")
}
