import Basics
import LinearAlgebra
import TensorCore

/// What a fit brings close: a kernel, in the norm of its weights or in that of the layer's inputs.
///
/// With the second moment S = E[x x^T] of the layer's input patches x, ||(W - What) S^(1/2)||^2 is the expected squared error
/// of the layer's output; without one, S is the identity and the norm is Frobenius's. With an output norm G on top of it,
/// ||G^(1/2) (W - What) S^(1/2)||^2, errors count by what they do to the network's outputs. An input norm C stands for S as if the taps of a
/// patch were independent: S is C times the identity.
public struct FitObjective: Sendable {
  /// The kernel that is approximated: (out, in, spatial...).
  public let kernel: Tensor<Double>
  /// What the inputs count.
  private let inputs: Inputs
  /// What errors of the layer's output channels count; nil where all count alike.
  public let outputNorm: ModeNorm?
  /// W S, in the kernel's shape.
  let weighted: Tensor<Double>
  /// ||G^(1/2) W S^(1/2)||.
  public let norm: Double

  /// S, the second moment of the input patches.
  private enum Inputs {
    /// The norm is the identity: all errors count alike.
    case alike
    /// The whole of it, with a mean diagonal of 1.
    case patches(Tensor<Double>)
    /// The norm is that of the channels, times the identity over the taps.
    case channels(ModeNorm)
  }

  /// S where all of it is known: symmetric, positive semidefinite, (patch x patch) over (in, spatial...), with a mean diagonal of 1. Nil
  /// where the inputs count alike or channel by channel.
  public var metric: Tensor<Double>? {
    switch inputs {
    case .patches(let metric): metric
    case .alike, .channels: nil
    }
  }

  /// What errors of the layer's input channels count; nil where all count alike, and where the metric of whole patches says it.
  public var inputNorm: ModeNorm? {
    switch inputs {
    case .channels(let norm): norm
    case .alike, .patches: nil
    }
  }

  /// A kernel to come close to, in a norm.
  ///
  /// - Parameters:
  ///   - kernel: (out, in, spatial...).
  ///   - norm: nil for the norm of the weights.
  /// - Throws: `Failure` when the kernel or the second moment holds NaN or infinity, or the latter has no positive trace.
  /// - Precondition: the norm fits the kernel.
  public init(_ kernel: Tensor<Double>, norm: FitNorm? = nil) throws {
    guard kernel.isFinite else { throw Failure.kernelNotFinite }
    switch norm?.inputs {
    case nil: self.init(kernel, inputs: .alike, outputNorm: nil)
    case .channels(let channels): self.init(kernel, inputs: .channels(channels), outputNorm: norm?.output)
    case .patches(let secondMoment):
      let patch = kernel.shape.dropFirst().reduce(1, *)
      precondition(secondMoment.shape == [patch, patch], "\(secondMoment.shape) is no metric for \(kernel.shape)")
      let trace = secondMoment.trace
      guard secondMoment.isFinite, trace > 0, trace.isFinite else {
        throw Failure(
          "second moment", "gives no norm", "it is zero or holds NaN or infinity",
          remedy: "expected inputs that are finite and not all zero")
      }
      self.init(
        kernel, inputs: .patches(secondMoment.map { $0 * Double(patch) / trace }), outputNorm: norm?.output)
    }
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

  private init(_ kernel: Tensor<Double>, inputs: Inputs, outputNorm: ModeNorm?) {
    self.kernel = kernel
    self.inputs = inputs
    self.outputNorm = outputNorm
    switch inputs {
    case .patches(let metric):
      let rows = kernel.reshaped([kernel.shape[0], kernel.shape.dropFirst().reduce(1, *)])
      weighted = rows.times(metric).reshaped(kernel.shape)
    case .alike, .channels: weighted = kernel
    }
    norm = Self.norm(of: kernel, inputs, outputNorm)
  }

  /// Whether it is the norm of the weights.
  var isPlain: Bool {
    switch inputs {
    case .alike: outputNorm == nil
    case .patches, .channels: false
    }
  }

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
    let scaled = roots.reduce(kernel) { $1.applied(to: $0) }
    return switch inputs {
    case .patches: FitObjective(scaled, inputs: inputs, outputNorm: nil)
    case .alike, .channels: FitObjective(scaled, inputs: .alike, outputNorm: nil)
    }
  }

  /// ||G^(1/2) (W - What) S^(1/2)|| / ||G^(1/2) W S^(1/2)||; 0 where both are zero.
  public func discrepancy(of approximation: Tensor<Double>) -> Double {
    guard !isPlain else { return approximation.relativeDiscrepancy(from: kernel) }
    let distance = Self.norm(of: kernel.subtracting(approximation), inputs, outputNorm)
    return norm > 0 ? distance / norm : (distance == 0 ? 0 : .infinity)
  }

  private static func norm(of kernel: Tensor<Double>, _ inputs: Inputs, _ outputNorm: ModeNorm?) -> Double {
    let rooted = outputNorm.map { $0.applied(to: kernel, mode: 0) } ?? kernel
    switch inputs {
    case .alike: return rooted.norm
    case .channels(let norm): return norm.applied(to: rooted, mode: 1).norm
    case .patches(let metric):
      let rows = rooted.reshaped([kernel.shape[0], metric.shape[0]])
      return max(0, zip(rows.elements, rows.times(metric).elements).reduce(0) { $0 + $1.0 * $1.1 }).squareRoot()
    }
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
  /// What every fit says of a kernel with NaN or infinity.
  static let kernelNotFinite = Failure(
    "kernel", "cannot be decomposed", "it holds NaN or infinity", remedy: "expected finite weights")
}
