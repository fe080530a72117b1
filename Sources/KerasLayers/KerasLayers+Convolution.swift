import Basics
import ModelGraph
import TensorCore

/// Convolutions of every kind.
extension KerasLayerType {
  static let convolutions: [String: KerasLayerType] = [
    "Conv1D": convolution(1), "Conv2D": convolution(2), "Conv3D": convolution(3),
    "DepthwiseConv1D": depthwise(1), "DepthwiseConv2D": depthwise(2),
    "SeparableConv1D": separable(1), "SeparableConv2D": separable(2),
    "Conv1DTranspose": transposed(1), "Conv2DTranspose": transposed(2), "Conv3DTranspose": transposed(3),
  ]

  private static func convolution(_ order: Int) -> KerasLayerType {
    kernelLayer(
      names: { layer in layer.quantization(of: ["kernel"]) { KerasWeightNames(trainable: ["kernel"] + layer.biasName) }
      },
      kernels: { [try $0.convolutionKernel(order)] },
      operations: { [try $0.convolutionKernel(order).operation($0.layout())] })
  }

  private static func depthwise(_ order: Int) -> KerasLayerType {
    kernelLayer(
      names: { KerasWeightNames(trainable: ["depthwise_kernel"] + $0.biasName) },
      kernels: { [try $0.depthwiseKernel(order)] },
      operations: { [try $0.depthwiseKernel(order).operation($0.layout())] })
  }

  private static func separable(_ order: Int) -> KerasLayerType {
    kernelLayer(
      names: { KerasWeightNames(trainable: ["depthwise_kernel", "pointwise_kernel"] + $0.biasName) },
      kernels: { [try $0.separableDepthwiseKernel(order), try $0.pointwiseKernel(order)] },
      operations: { layer in
        [
          try layer.separableDepthwiseKernel(order).operation(layer.layout()),
          try layer.pointwiseKernel(order).operation(layer.layout()),
        ]
      })
  }

  private static func transposed(_ order: Int) -> KerasLayerType {
    kernelLayer(
      names: { KerasWeightNames(trainable: ["kernel"] + $0.biasName) },
      kernels: { [try $0.transposedKernel(order)] },
      operations: { [try $0.transposedKernel(order).operation($0.layout())] })
  }

  /// A layer with kernels and an activation behind them.
  static func kernelLayer(
    names: @escaping @Sendable (KerasLayer) -> KerasWeightNames?,
    kernels: @escaping @Sendable (KerasLayer) throws -> [Layer],
    operations: @escaping @Sendable (KerasLayer) throws -> [Operation]
  ) -> KerasLayerType {
    KerasLayerType(
      weightNames: names, layers: kernels,
      operations: { layer, _ in
        let activation = try layer.activation("activation")
        return try operations(layer) + (activation == .linear ? [] : [.activation(activation)])
      })
  }
}

extension Layer {
  func operation(_ layout: ChannelLayout) -> Operation {
    convolution.operation(layout, kernel: kernel, bias: bias)
  }
}

extension KerasLayer {
  var biasName: [String] { bool("use_bias", default: true) ? ["bias"] : [] }

  /// How the layer's window moves.
  func window(_ order: Int) throws -> Window {
    let ones = Array(repeating: 1, count: order)
    return Window(
      stride: try extents("strides", order, default: ones),
      dilation: try extents("dilation_rate", order, default: ones), padding: try padding())
  }

  func bias(_ count: Int) throws -> TensorReference? {
    try reference("bias", [count], if: !biasName.isEmpty)
  }

  /// Stored (spatial..., in / groups, out).
  fileprivate func convolutionKernel(_ order: Int) throws -> Layer {
    let (size, filters) = (try extents("kernel_size", order), try integer("filters"))
    let groups = try integer("groups", default: 1)
    let stored = try weight("kernel", size + [nil, filters])
    guard filters % groups == 0 else {
      throw failure("cannot be read", "\(groups) groups do not divide its \(filters) filters")
    }
    return Layer(
      name: path, kind: .convolution,
      kernel: TensorReference(stored.name, permutation: .kernelLast(order)),
      bias: try bias(filters), dtype: stored.dtype,
      convolution: Convolution(
        kernelShape: [filters, stored.shape[order]] + size, groups: groups, window: try window(order)))
  }

  /// Stored (spatial..., in, multiplier); the output channel of (input, multiple) is input * multiplier + multiple.
  private func depthwise(_ order: Int, name: String, window: Window, bias: (Int) throws -> TensorReference?) throws
    -> Layer
  {
    let (size, multiplier) = (
      try extents("kernel_size", order), try integer("depth_multiplier", default: 1)
    )
    let stored = try weight("depthwise_kernel", size + [nil, multiplier])
    let channels = stored.shape[order]
    let shape = [channels * multiplier, 1] + size
    return Layer(
      name: name, kind: .depthwiseConvolution,
      kernel: TensorReference(
        stored.name, permutation: [order, order + 1] + Array(0..<order), shape: shape),
      bias: try bias(channels * multiplier), dtype: stored.dtype,
      convolution: Convolution(kernelShape: shape, groups: channels, window: window),
      refusal: "a depthwise kernel shares nothing between channels")
  }

  fileprivate func depthwiseKernel(_ order: Int) throws -> Layer {
    try depthwise(order, name: path, window: try window(order), bias: bias)
  }

  fileprivate func separableDepthwiseKernel(_ order: Int) throws -> Layer {
    try depthwise(order, name: path + "/depthwise", window: try window(order)) { _ in nil }
  }

  /// The second half of a separable convolution, stored (1, ..., in, out); this is what the layer's own name stands for.
  fileprivate func pointwiseKernel(_ order: Int) throws -> Layer {
    let filters = try integer("filters")
    let channels = try separableDepthwiseKernel(order).kernelShape[0]
    let ones = Array(repeating: 1, count: order)
    let stored = try weight("pointwise_kernel", ones + [channels, filters])
    return Layer(
      name: path, kind: .convolution,
      kernel: TensorReference(stored.name, permutation: .kernelLast(order)),
      bias: try bias(filters), dtype: stored.dtype,
      convolution: Convolution(kernelShape: [filters, channels] + ones, window: .unit(order)))
  }

  /// Stored (spatial..., out, in).
  fileprivate func transposedKernel(_ order: Int) throws -> Layer {
    let (size, filters) = (try extents("kernel_size", order), try integer("filters"))
    let stored = try weight("kernel", size + [filters, nil])
    return Layer(
      name: path, kind: .transposedConvolution,
      kernel: TensorReference(stored.name, permutation: [order, order + 1] + Array(0..<order)),
      bias: try bias(filters), dtype: stored.dtype,
      convolution: Convolution(
        kernelShape: [filters, stored.shape[order + 1]] + size, window: try window(order),
        transposition: Convolution.Transposition(
          outputPadding: value("output_padding") == nil ? nil : try extents("output_padding", order, minimum: 0))))
  }
}

extension [Int] {
  /// The permutation from (spatial..., a, b) to (b, a, spatial...).
  package static func kernelLast(_ spatialOrder: Int) -> [Int] {
    [spatialOrder + 1, spatialOrder] + Array(0..<spatialOrder)
  }
}
