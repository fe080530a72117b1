import Basics
import ModelGraph
import TensorCore

extension Operation {
  /// Loads the weights of the operation.
  ///
  /// - Throws: `Failure` with an empty subject where weights do not fit or the operation cannot be run.
  func computation(_ parameter: ParameterSource) throws -> any Computation {
    switch self {
    case .convolution(let convolution, let layout, let kernel, let bias):
      return try convolutionComputation(
        convolution, layout, kernel: parameter(kernel), bias: bias.map(parameter))
    case .transposedConvolution(let convolution):
      return try TransposedConvolutionComputation(
        convolution, kernel: parameter(convolution.kernel), bias: convolution.bias.map(parameter))
    case .batchNormalization(let axis, let epsilon, let gamma, let beta, let mean, let variance):
      return ChannelwiseComputation(
        axis: axis,
        finish: Finish(
          try .normalization(
            epsilon: epsilon, gamma: gamma.map(parameter), beta: beta.map(parameter), mean: parameter(mean),
            variance: parameter(variance))))
    case .bias(let bias, let layout):
      return ChannelwiseComputation(
        axis: layout == .channelsLast ? -1 : 1,
        finish: Finish(ChannelAffine(scale: nil, offset: try parameter(bias).elements)))
    case .scaling(let scale, let offset):
      guard !scale.isEmpty, scale.count == offset.count || min(scale.count, offset.count) == 1, !offset.isEmpty
      else { throw misfit("\(scale.count) scales and \(offset.count) offsets", "expected equal counts") }
      let count = max(scale.count, offset.count)
      func spread(_ values: [Float]) -> [Float] {
        values.count == count ? values : Array(repeating: values[0], count: count)
      }
      return ScalingComputation(affine: ChannelAffine(scale: spread(scale), offset: spread(offset)))
    case .normalization(let axes, let mean, let variance):
      return AxesNormalization(
        axes: axes, mean: try parameter(mean).elements, variance: try parameter(variance).elements)
    case .layerNormalization(let axes, let epsilon, let gamma, let beta):
      return LayerNormalization(
        axes: axes, epsilon: epsilon, gamma: try gamma.map(parameter)?.elements,
        beta: try beta.map(parameter)?.elements)
    case .activation(let activation):
      return activation.isElementwise
        ? ChannelwiseComputation(axis: -1, finish: Finish(activation))
        : AxisActivation(activation: activation)
    case .parametricReLU(let slopes):
      return ParametricReLU(slopes: Value(try parameter(slopes)))
    case .pooling(let pooling): return PoolingComputation(pooling: pooling)
    case .globalPooling(let kind, let layout, _): return GlobalPooling(kind: kind, layout: layout)
    case .padding(let before, _, let value): return Bordering(before: before, value: value)
    case .cropping(let before, _): return Bordering(before: before.map { -$0 }, value: 0)
    case .upsampling(let factors, let interpolation, let layout):
      return Upsampling(factors: factors, interpolation: interpolation, layout: layout)
    case .merge(.concatenate(let axis)): return Concatenation(axis: axis)
    case .merge(.dot(let axes, let normalizes)): return DotProduct(axes: axes, normalizes: normalizes)
    case .merge(let merge): return ArithmeticMerge(merge: merge)
    case .reshape, .identity: return Reshaping()
    case .permutation(let order): return Permutation(order: order)
    case .channelPermutation(let axes, let order, let layout):
      return ChannelPermutation(axes: axes, order: order, layout: layout)
    case .repetition: return Repetition()
    case .array(let operation): return try operation.computation(parameter)
    case .unsupported(let type, let reason):
      throw Failure("", "cannot be run", "it is a \(type) layer, \(reason)")
    }
  }
}

func misfit(_ reason: String, _ remedy: String) -> Failure {
  Failure("", "has weights that do not fit", reason, remedy: remedy)
}
