import Basics
import LinearAlgebra
import TensorCore

/// The norm of a layer's errors on the samples that it saw.
public struct FitNorm: Sendable {
  /// E[x x^T] of the input patches, (patch x patch) over (in, spatial...), symmetric, positive semidefinite, at any scale.
  public var secondMoment: Tensor<Double>
  /// What errors of the output channels count; nil where all count alike.
  public var output: OutputNorm?

  public init(secondMoment: Tensor<Double>, output: OutputNorm? = nil) {
    self.secondMoment = secondMoment
    self.output = output
  }
}

/// What a fit brings close: a kernel, in the norm of its weights or in that of the layer's inputs.
///
/// With the second moment S = E[x x^T] of the layer's input patches x, ||(W - What) S^(1/2)||^2 is the expected squared error
/// of the layer's output; without one, S is the identity and the norm is Frobenius's. With an output norm G on top of it,
/// ||G^(1/2) (W - What) S^(1/2)||^2, errors count by what they do to the network's outputs.
public struct FitObjective: Sendable {
  /// (out, in, spatial...).
  public let kernel: Tensor<Double>
  /// Symmetric, positive semidefinite, (patch x patch) over (in, spatial...), with a mean diagonal of 1; nil for the identity.
  public let metric: Tensor<Double>?
  /// What errors of the layer's output channels count; nil where all count alike.
  public let outputNorm: OutputNorm?
  /// W S, in the kernel's shape.
  let weighted: Tensor<Double>
  /// ||G^(1/2) W S^(1/2)||.
  public let norm: Double

  /// - Parameters:
  ///   - kernel: (out, in, spatial...).
  ///   - norm: nil for the norm of the weights.
  /// - Throws: `Failure` when the kernel or the second moment holds NaN or infinity, or the latter has no positive trace.
  /// - Precondition: the norm fits the kernel.
  public init(_ kernel: Tensor<Double>, norm: FitNorm? = nil) throws {
    guard kernel.isFinite else { throw Failure.kernelNotFinite }
    guard let norm else {
      self.init(kernel, metric: nil, outputNorm: nil)
      return
    }
    let secondMoment = norm.secondMoment
    let patch = kernel.shape.dropFirst().reduce(1, *)
    precondition(secondMoment.shape == [patch, patch], "\(secondMoment.shape) is no metric for \(kernel.shape)")
    let trace = secondMoment.trace
    guard secondMoment.isFinite, trace > 0, trace.isFinite else {
      throw Failure(
        "second moment", "gives no norm", "it is zero or holds NaN or infinity",
        remedy: "expected inputs that are finite and not all zero")
    }
    self.init(kernel, metric: secondMoment.map { $0 * Double(patch) / trace }, outputNorm: norm.output)
  }

  /// What a layer has to do when its inputs are no longer those that it was made for: E||t - What y||^2, with y the inputs that
  /// it gets now and t the outputs that it should give. That is the norm of y around the kernel E[t y^T] E[y y^T]^-1.
  ///
  /// - Parameters:
  ///   - kernelShape: (out, in, spatial...).
  ///   - norm: with E[y y^T], positive definite.
  ///   - crossMoment: E[t y^T], (out x patch).
  /// - Throws: as above, and where the second moment has no inverse.
  public init(kernelShape: [Int], norm: FitNorm, crossMoment: Tensor<Double>) throws {
    let target = try Cholesky(norm.secondMoment).solve(rows: crossMoment)
    try self.init(target.reshaped(kernelShape), norm: norm)
  }

  private init(_ kernel: Tensor<Double>, metric: Tensor<Double>?, outputNorm: OutputNorm?) {
    self.kernel = kernel
    self.metric = metric
    self.outputNorm = outputNorm
    let rows = kernel.reshaped([kernel.shape[0], kernel.shape.dropFirst().reduce(1, *)])
    weighted = metric.map { rows.times($0).reshaped(kernel.shape) } ?? kernel
    norm = Self.norm(of: rows, metric, outputNorm)
  }

  /// The same fit without an output norm, for factors of one pattern: G^(1/2) W in place of W, and each factor's outputs scaled by
  /// its own part of the root.
  func withoutOutputNorm(_ roots: OutputNorm.Roots) -> FitObjective {
    FitObjective(roots.applied(to: kernel), metric: metric, outputNorm: nil)
  }

  /// ||G^(1/2) (W - What) S^(1/2)|| / ||G^(1/2) W S^(1/2)||; 0 where both are zero.
  public func discrepancy(of approximation: Tensor<Double>) -> Double {
    guard let metric else { return approximation.relativeDiscrepancy(from: kernel) }
    let difference = kernel.subtracting(approximation).reshaped([kernel.shape[0], metric.shape[0]])
    let distance = Self.norm(of: difference, metric, outputNorm)
    return norm > 0 ? distance / norm : (distance == 0 ? 0 : .infinity)
  }

  private static func norm(of rows: Tensor<Double>, _ metric: Tensor<Double>?, _ outputNorm: OutputNorm?) -> Double {
    guard let metric else { return rows.norm }
    let rooted = outputNorm.map { $0.root.times(rows) } ?? rows
    let image = rooted.times(metric)
    return max(0, zip(rooted.elements, image.elements).reduce(0) { $0 + $1.0 * $1.1 }).squareRoot()
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
