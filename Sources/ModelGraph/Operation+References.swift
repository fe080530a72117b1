extension Operation {
  /// The operation with other tensors of the checkpoint in the places of its own. `references` lists them.
  public func replacingReferences(_ change: (TensorReference) throws -> TensorReference) rethrows -> Operation {
    switch self {
    case .convolution(let convolution, let layout, let kernel, let bias):
      return .convolution(convolution, layout: layout, kernel: try change(kernel), bias: try bias.map(change))
    case .transposedConvolution(var convolution):
      convolution.kernel = try change(convolution.kernel)
      convolution.bias = try convolution.bias.map(change)
      return .transposedConvolution(convolution)
    case .batchNormalization(let axis, let epsilon, let gamma, let beta, let mean, let variance):
      return .batchNormalization(
        axis: axis, epsilon: epsilon, gamma: try gamma.map(change), beta: try beta.map(change), mean: try change(mean),
        variance: try change(variance))
    case .layerNormalization(let axes, let epsilon, let gamma, let beta):
      return .layerNormalization(axes: axes, epsilon: epsilon, gamma: try gamma.map(change), beta: try beta.map(change))
    case .parametricReLU(let slopes): return .parametricReLU(slopes: try change(slopes))
    case .normalization(let axes, let mean, let variance):
      return .normalization(axes: axes, mean: try change(mean), variance: try change(variance))
    case .bias(let bias, let layout): return .bias(try change(bias), layout: layout)
    case .array(let operation): return .array(try operation.replacingReferences(change))
    case .activation, .pooling, .globalPooling, .padding, .cropping, .upsampling, .merge, .reshape, .permutation,
      .scaling, .repetition, .channelPermutation, .identity, .unsupported:
      return self
    }
  }
}

extension ArrayOperation {
  /// See `Operation.replacingReferences`.
  fileprivate func replacingReferences(
    _ change: (TensorReference) throws -> TensorReference
  ) rethrows -> ArrayOperation {
    switch self {
    case .parameter(let reference, let shape): return .parameter(try change(reference), shape: shape)
    case .recurrent(var layer):
      layer.inputWeights = try change(layer.inputWeights)
      layer.hiddenWeights = try change(layer.hiddenWeights)
      layer.bias = try layer.bias.map(change)
      return .recurrent(layer)
    case .constant, .elementwise, .function, .shape, .size, .reshape, .flatten, .squeeze, .unsqueeze, .transpose,
      .expand, .tile, .filled, .range, .slice, .gather, .concatenate, .part, .pad, .depthToSpace, .spaceToDepth,
      .reduce, .extremum, .resize, .matrixProduct, .trailingSoftmax, .align, .gatherElements, .gatherPoints,
      .scatterElements, .scatterPoints, .top, .reverse, .triangle, .cumulativeSum, .maximumPlace, .gridSample, .einsum,
      .convolution:
      return self
    }
  }
}

extension TensorReference {
  /// The same reading of another tensor.
  public func renamed(_ name: String) -> TensorReference {
    TensorReference(name, permutation: permutation, shape: shape)
  }
}
