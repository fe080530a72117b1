import TensorCore

/// The norm of a layer's errors on the samples that it saw.
public struct FitNorm: Sendable {
  /// What is known of the layer's inputs.
  public enum Inputs: Sendable {
    /// E[x x^T] of the input patches, (patch x patch) over (in, spatial...), symmetric, positive semidefinite, at any scale.
    case patches(secondMoment: Tensor<Double>)
    /// What the input channels count, where patches are too wide for their second moment.
    case channels(ModeNorm)
  }

  /// What is known of the layer's inputs.
  public let inputs: Inputs
  /// What errors of the output channels count; nil where all count alike.
  public let output: ModeNorm?

  /// The norm of a layer whose input patches have this second moment, (patch x patch) over (in, spatial...).
  public init(secondMoment: Tensor<Double>, output: ModeNorm? = nil) {
    inputs = .patches(secondMoment: secondMoment)
    self.output = output
  }

  /// The norm of a layer whose input channels count so much, the taps of a patch being independent.
  public init(input: ModeNorm, output: ModeNorm? = nil) {
    inputs = .channels(input)
    self.output = output
  }

  /// The second moment of the input patches; nil where only channels are known.
  public var secondMoment: Tensor<Double>? {
    switch inputs {
    case .patches(let secondMoment): secondMoment
    case .channels: nil
    }
  }

  /// What the input channels count; nil where whole patches are known.
  public var input: ModeNorm? {
    switch inputs {
    case .channels(let norm): norm
    case .patches: nil
    }
  }
}
