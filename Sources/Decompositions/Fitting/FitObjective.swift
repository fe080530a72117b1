import Basics
import LinearAlgebra
import TensorCore

/// The norm of a layer's errors on the samples that it saw.
public struct FitNorm: Sendable {
  /// E[x x^T] of the input patches, (patch x patch) over (in, spatial...), symmetric, positive semidefinite, at any scale; nil where
  /// patches are too wide for it.
  public var secondMoment: Tensor<Double>?
  /// What the input channels count, where nothing is known of whole patches; nil where all count alike.
  public var input: ModeNorm?
  /// What errors of the output channels count; nil where all count alike.
  public var output: ModeNorm?

  public init(secondMoment: Tensor<Double>, output: ModeNorm? = nil) {
    self.secondMoment = secondMoment
    self.output = output
  }

  public init(input: ModeNorm, output: ModeNorm? = nil) {
    self.input = input
    self.output = output
  }
}

/// What a fit brings close: a kernel, in the norm of its weights or in that of the layer's inputs.
///
/// With the second moment S = E[x x^T] of the layer's input patches x, ||(W - What) S^(1/2)||^2 is the expected squared error
/// of the layer's output; without one, S is the identity and the norm is Frobenius's. With an output norm G on top of it,
/// ||G^(1/2) (W - What) S^(1/2)||^2, errors count by what they do to the network's outputs. An input norm C stands for S as if the taps of a
/// patch were independent: S is C times the identity.
public struct FitObjective: Sendable {
  /// (out, in, spatial...).
  public let kernel: Tensor<Double>
  /// Symmetric, positive semidefinite, (patch x patch) over (in, spatial...), with a mean diagonal of 1; nil for the identity.
  public let metric: Tensor<Double>?
  /// What errors of the layer's input and output channels count; nil where all count alike.
  public let inputNorm: ModeNorm?
  public let outputNorm: ModeNorm?
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
    guard let secondMoment = norm?.secondMoment else {
      self.init(kernel, metric: nil, inputNorm: norm?.input, outputNorm: norm?.output)
      return
    }
    let patch = kernel.shape.dropFirst().reduce(1, *)
    precondition(secondMoment.shape == [patch, patch], "\(secondMoment.shape) is no metric for \(kernel.shape)")
    let trace = secondMoment.trace
    guard secondMoment.isFinite, trace > 0, trace.isFinite else {
      throw Failure(
        "second moment", "gives no norm", "it is zero or holds NaN or infinity",
        remedy: "expected inputs that are finite and not all zero")
    }
    self.init(
      kernel, metric: secondMoment.map { $0 * Double(patch) / trace }, inputNorm: nil, outputNorm: norm?.output)
  }

  /// What a layer has to do when its inputs are no longer those that it was made for: E||t - What y||^2, with y the inputs that
  /// it gets now and t the outputs that it should give. That is the norm of y around the kernel E[t y^T] E[y y^T]^-1.
  ///
  /// - Parameters:
  ///   - kernelShape: (out, in, spatial...).
  ///   - secondMoment: E[y y^T], positive definite.
  ///   - crossMoment: E[t y^T], (out x patch).
  ///   - output: what errors of the output channels count.
  /// - Throws: as above, and where the second moment has no inverse.
  public init(
    kernelShape: [Int], secondMoment: Tensor<Double>, crossMoment: Tensor<Double>, output: ModeNorm? = nil
  ) throws {
    let target = try Cholesky(secondMoment).solve(rows: crossMoment)
    try self.init(target.reshaped(kernelShape), norm: FitNorm(secondMoment: secondMoment, output: output))
  }

  private init(_ kernel: Tensor<Double>, metric: Tensor<Double>?, inputNorm: ModeNorm?, outputNorm: ModeNorm?) {
    self.kernel = kernel
    self.metric = metric
    self.inputNorm = inputNorm
    self.outputNorm = outputNorm
    let rows = kernel.reshaped([kernel.shape[0], kernel.shape.dropFirst().reduce(1, *)])
    weighted = metric.map { rows.times($0).reshaped(kernel.shape) } ?? kernel
    norm = Self.norm(of: kernel, metric, inputNorm, outputNorm)
  }

  /// Whether it is the norm of the weights.
  var isPlain: Bool { metric == nil && inputNorm == nil && outputNorm == nil }

  /// The roots of the norms of channels that belong to the factors of a pattern; none where such norms do not count.
  ///
  /// - Throws: `Failure` where an eigendecomposition does not converge.
  func roots(of pattern: FactorPattern) throws -> [ModeNorm.Roots] {
    try [(0, outputNorm), (1, inputNorm)].compactMap { mode, norm in
      try norm.map { try $0.roots(of: pattern.shapes, mode: mode) }
    }
  }

  /// The same fit without norms of channels, for factors of one pattern: G^(1/2) W in place of W, and each factor's channels scaled by
  /// its own part of the root.
  func scaled(by roots: [ModeNorm.Roots]) -> FitObjective {
    FitObjective(roots.reduce(kernel) { $1.applied(to: $0) }, metric: metric, inputNorm: nil, outputNorm: nil)
  }

  /// ||G^(1/2) (W - What) S^(1/2)|| / ||G^(1/2) W S^(1/2)||; 0 where both are zero.
  public func discrepancy(of approximation: Tensor<Double>) -> Double {
    guard !isPlain else { return approximation.relativeDiscrepancy(from: kernel) }
    let distance = Self.norm(of: kernel.subtracting(approximation), metric, inputNorm, outputNorm)
    return norm > 0 ? distance / norm : (distance == 0 ? 0 : .infinity)
  }

  private static func norm(
    of kernel: Tensor<Double>, _ metric: Tensor<Double>?, _ inputNorm: ModeNorm?, _ outputNorm: ModeNorm?
  ) -> Double {
    var rooted = outputNorm.map { $0.applied(to: kernel, mode: 0) } ?? kernel
    if let inputNorm { rooted = inputNorm.applied(to: rooted, mode: 1) }
    guard let metric else { return rooted.norm }
    let rows = rooted.reshaped([kernel.shape[0], metric.shape[0]])
    return max(0, zip(rows.elements, rows.times(metric).elements).reduce(0) { $0 + $1.0 * $1.1 }).squareRoot()
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
