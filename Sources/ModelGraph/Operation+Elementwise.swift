extension Operation {
  /// Whether every output element depends on the input elements at its own place (or order) only.
  public var isElementwise: Bool {
    switch self {
    case .batchNormalization, .parametricReLU, .reshape, .scaling, .normalization, .bias, .identity: true
    case .activation(let activation): activation.isElementwise
    case .merge(let merge): merge.isElementwise
    case .array(let operation): operation.isElementwise
    case .convolution, .transposedConvolution, .layerNormalization, .pooling, .globalPooling, .padding, .cropping,
      .upsampling, .permutation, .repetition, .channelPermutation, .unsupported:
      false
    }
  }

  /// Whether the value is part of the model and no activation.
  var isConstant: Bool {
    switch self {
    case .array(let operation): operation.isConstant
    case .convolution, .transposedConvolution, .batchNormalization, .layerNormalization, .activation, .parametricReLU,
      .pooling, .globalPooling, .padding, .cropping, .upsampling, .merge, .reshape, .permutation, .scaling,
      .normalization, .repetition, .channelPermutation, .bias, .identity, .unsupported:
      false
    }
  }
}

extension ArrayOperation {
  /// See `Operation.isElementwise`.
  fileprivate var isElementwise: Bool {
    switch self {
    case .elementwise, .function, .reshape, .flatten, .squeeze, .unsqueeze, .align: true
    case .constant, .parameter, .shape, .size, .transpose, .expand, .tile, .filled, .range, .slice, .gather,
      .concatenate, .part, .pad, .depthToSpace, .spaceToDepth, .reduce, .extremum, .resize, .matrixProduct,
      .trailingSoftmax, .recurrent, .gatherElements, .gatherPoints, .scatterElements, .scatterPoints, .top, .reverse,
      .triangle, .cumulativeSum, .maximumPlace, .gridSample, .einsum, .convolution:
      false
    }
  }

  /// See `Operation.isConstant`.
  fileprivate var isConstant: Bool {
    switch self {
    case .constant, .parameter: true
    case .elementwise, .function, .shape, .size, .reshape, .flatten, .squeeze, .unsqueeze, .transpose, .expand, .tile,
      .filled, .range, .slice, .gather, .concatenate, .part, .pad, .depthToSpace, .spaceToDepth, .reduce, .extremum,
      .resize, .matrixProduct, .trailingSoftmax, .recurrent, .align, .gatherElements, .gatherPoints, .scatterElements,
      .scatterPoints, .top, .reverse, .triangle, .cumulativeSum, .maximumPlace, .gridSample, .einsum, .convolution:
      false
    }
  }
}

extension Merge {
  /// Whether the merge combines elements at the same place.
  var isElementwise: Bool {
    switch self {
    case .add, .subtract, .multiply, .average, .maximum, .minimum: true
    case .concatenate, .dot: false
    }
  }
}

extension Activation {
  /// Whether the function needs no neighbour.
  public var isElementwise: Bool {
    switch self {
    case .softmax, .logSoftmax, .sparsemax, .glu: false
    case .linear, .relu, .sigmoid, .tanh, .softplus, .softsign, .exponential, .silu, .mish, .logSigmoid,
      .hardSigmoidKeras2, .hardSigmoid, .hardSilu, .hardTanh, .tanhShrink, .sparsePlus, .sparseSigmoid, .squareplus,
      .elu, .celu, .selu, .gelu, .softShrink, .hardShrink, .threshold:
      true
    }
  }
}
