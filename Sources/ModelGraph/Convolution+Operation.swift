extension Convolution {
  /// The operation of a graph that computes the convolution.
  ///
  /// - Parameter kernel: A tensor of `kernelShape`.
  /// - Precondition: A transposed convolution has one group, or one input channel for each of its groups.
  package func operation(_ layout: ChannelLayout, kernel: TensorReference, bias: TensorReference?) -> Operation {
    guard transposition != nil else { return .convolution(self, layout: layout, kernel: kernel, bias: bias) }
    return .transposedConvolution(
      TransposedConvolution(
        self, layout: layout, kernel: groups == 1 ? kernel.swappingChannels(order: kernelShape.count) : kernel,
        bias: bias))
  }
}

extension TransposedConvolution {
  /// The same convolution in the order of its own modes, (in, out / groups, spatial...).
  ///
  /// - Parameter kernel: The tensor in that order.
  public init(_ convolution: Convolution, layout: ChannelLayout, kernel: TensorReference, bias: TensorReference?) {
    let shape = convolution.kernelShape
    precondition(
      convolution.batch == 1 && (convolution.groups == 1 || shape[1] == 1), "no transposed convolution: \(convolution)")
    self.init(
      kernelShape: [convolution.inputChannels, shape[0] / convolution.groups] + shape.dropFirst(2),
      groups: convolution.groups, window: convolution.window,
      outputPadding: convolution.transposition?.outputPadding, layout: layout, kernel: kernel, bias: bias)
  }
}

extension TensorReference {
  /// The tensor, of so many modes, with the first two of them swapped.
  ///
  /// - Precondition: The tensor is seen in its own shape.
  fileprivate func swappingChannels(order: Int) -> TensorReference {
    precondition(shape == nil, "a factor is seen in its own shape")
    let own = permutation ?? Array(0..<order)
    let swapped = [own[1], own[0]] + own.dropFirst(2)
    return TensorReference(name, permutation: swapped == Array(0..<order) ? nil : swapped)
  }
}

extension Operation {
  /// The operation with a bias of its own; nil for one that takes none, or has one already.
  func withBias(_ bias: TensorReference) -> Operation? {
    switch self {
    case .convolution(let convolution, let layout, let kernel, nil):
      return .convolution(convolution, layout: layout, kernel: kernel, bias: bias)
    case .transposedConvolution(var convolution) where convolution.bias == nil:
      convolution.bias = bias
      return .transposedConvolution(convolution)
    case .convolution, .transposedConvolution, .batchNormalization, .layerNormalization, .activation, .parametricReLU,
      .pooling, .globalPooling, .padding, .cropping, .upsampling, .merge, .reshape, .permutation, .scaling,
      .normalization, .repetition, .channelPermutation, .bias, .identity, .array, .unsupported:
      return nil
    }
  }
}
