/// What an operation makes of a value channel by channel, for whoever follows a layer's output through the network.
public enum ChannelEffect: Sendable, Equatable {
  /// Each channel is scaled and shifted along this axis, counted from the front: a batch normalisation.
  case scaled(axis: Int)
  /// Each channel is shifted at most: a bias, or nothing at all.
  case kept
  /// The value is added to others, element by element.
  case added
  /// Anything else, so that nothing follows for single channels.
  case other
}

extension Operation {
  /// What the operation makes of the channels of a value.
  ///
  /// - Parameter rank: The count of axes of the value, the batch included.
  public func channelEffect(rank: Int) -> ChannelEffect {
    switch self {
    case .batchNormalization(let axis, _, _, _, _, _): .scaled(axis: axis.normalizedAxis(rank: rank))
    case .identity, .bias: .kept
    case .activation(let activation): activation == .linear ? .kept : .other
    case .merge(let merge):
      switch merge {
      case .add: .added
      case .subtract, .multiply, .average, .maximum, .minimum, .concatenate, .dot: .other
      }
    case .array(let operation): operation == .elementwise(.add) ? .added : .other
    case .convolution, .transposedConvolution, .layerNormalization, .parametricReLU, .pooling, .globalPooling, .padding,
      .cropping, .upsampling, .reshape, .permutation, .scaling, .normalization, .repetition, .channelPermutation,
      .unsupported:
      .other
    }
  }
}
