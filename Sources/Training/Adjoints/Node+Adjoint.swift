import ModelGraph

extension Node {
  /// The adjoint of the node; nil for an operation that has none here.
  var adjoint: (any Adjoint)? {
    switch operation {
    case .convolution(let convolution, let layout, let kernel, let bias):
      ConvolutionAdjoint(convolution: convolution, layout: layout, kernel: kernel, bias: bias)
    case .transposedConvolution(let convolution): TransposedConvolutionAdjoint(convolution: convolution)
    case .batchNormalization(let axis, let epsilon, let gamma, let beta, let mean, let variance):
      BatchNormalizationAdjoint(
        axis: axis, epsilon: epsilon, gamma: gamma, beta: beta, mean: mean, variance: variance)
    case .layerNormalization(let axes, let epsilon, let gamma, let beta):
      LayerNormalizationAdjoint(axes: axes, epsilon: epsilon, gamma: gamma, beta: beta)
    case .normalization(let axes, _, let variance): AxesNormalizationAdjoint(axes: axes, variance: variance)
    case .scaling(let scale, _): ScalingAdjoint(scale: scale)
    case .bias(let bias, let layout): BiasAdjoint(bias: bias, layout: layout)
    case .activation(.linear), .identity: ReshapingAdjoint()
    case .activation(let activation): activation.adjoint
    case .parametricReLU(let slopes): ParametricReLUAdjoint(slopes: slopes)
    case .pooling(let pooling): PoolingAdjoint(pooling: pooling)
    case .globalPooling(let kind, let layout, _): GlobalPoolingAdjoint(kind: kind, layout: layout)
    case .padding, .cropping: SelectionAdjoint()
    case .upsampling(_, .nearest, _): SelectionAdjoint()
    case .upsampling(_, .bilinear, _): ResizingAdjoint()
    case .reshape: ReshapingAdjoint()
    case .permutation(let order): PermutationAdjoint(order: order)
    case .channelPermutation(let axes, let order, let layout):
      ChannelPermutationAdjoint(axes: axes, order: order, layout: layout)
    case .repetition: SelectionAdjoint()
    case .merge(.concatenate(let axis)): ConcatenationAdjoint(axis: axis)
    case .merge(.dot(let axes, let normalizes)): normalizes ? nil : DotAdjoint(axes: axes)
    case .merge(let merge): merge.arithmetic.map { ArithmeticAdjoint(arithmetic: $0, beginsWithBatch: true) }
    case .array(let operation): operation.adjoint
    case .unsupported: nil
    }
  }
}

extension ArrayOperation {
  fileprivate var adjoint: (any Adjoint)? {
    switch self {
    case .constant, .parameter: ParameterAdjoint()
    case .elementwise(let kind):
      kind.arithmetic.map { ArithmeticAdjoint(arithmetic: $0, beginsWithBatch: false) } ?? kind.flatAdjoint
    case .function(let function): FunctionAdjoint(function: function)
    case .shape, .size, .filled, .range, .extremum, .top(_, _, true), .maximumPlace: FlatAdjoint()
    case .reshape, .flatten, .squeeze, .unsqueeze, .align: ReshapingAdjoint()
    case .transpose(let order): PermutationAdjoint(order: order)
    case .expand, .tile, .slice, .gather, .gatherElements, .gatherPoints, .reverse, .triangle, .part, .pad,
      .depthToSpace,
      .spaceToDepth:
      SelectionAdjoint()
    case .cumulativeSum(let axis, let excludesOwn, let fromEnd):
      CumulativeSumAdjoint(axis: axis, excludesOwn: excludesOwn, fromEnd: fromEnd)
    case .einsum(let equation): EinsumAdjoint(equation: equation)
    case .concatenate(let axis): ConcatenationAdjoint(axis: axis)
    case .reduce(let kind, _, _): ReductionAdjoint(kind: kind)
    case .resize(let resizing):
      if case .nearest = resizing.method { SelectionAdjoint() } else { ResizingAdjoint() }
    case .matrixProduct: MatrixProductAdjoint()
    case .trailingSoftmax(let axis, let logarithmic):
      SharesAdjoint(kind: logarithmic ? .logSoftmax : .softmax, axes: axis, isTrailing: true)
    case .recurrent, .scatterElements, .scatterPoints, .top, .gridSample, .convolution: nil
    }
  }
}
