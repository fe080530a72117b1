/// The kinds of operations that runtimes have kernels of their own for, so that each has a speed of its own.
public enum OperationKind: String, Sendable, CaseIterable {
  case convolution
  case pointwiseConvolution = "pointwise_convolution"
  case depthwiseConvolution = "depthwise_convolution"
  case groupedConvolution = "grouped_convolution"
  /// A convolution with a stride above 1.
  case stridedConvolution = "strided_convolution"
  /// A convolution with a dilation above 1.
  case dilatedConvolution = "dilated_convolution"
  case transposedConvolution = "transposed_convolution"
  /// A linear layer and any other matrix product.
  case linear
  /// Elements come in another order: transposes, gathers.
  case permutation
  /// Elements move in runs: borders, concatenations, slices.
  case copy
  case pooling
  /// One element from the elements at its place: activations, normalisations, sums.
  case elementwise

  /// Whether it multiplies and accumulates.
  public var hasProducts: Bool {
    switch self {
    case .convolution, .pointwiseConvolution, .depthwiseConvolution, .groupedConvolution, .stridedConvolution,
      .dilatedConvolution, .transposedConvolution, .linear:
      true
    case .permutation, .copy, .pooling, .elementwise: false
    }
  }

  /// The kind in plain words, for messages.
  public var words: String { rawValue.split(separator: "_").joined(separator: " ") }
}

/// What a node does for one sample, as far as the time that it takes follows from it. Counts of elements.
public struct NodeWork: Sendable, Equatable {
  /// The kind of kernel that a runtime runs the node with.
  public var kind: OperationKind
  /// The multiply-accumulates.
  public var macs: Int
  /// The elements of the weights, every copy once.
  public var weights: Int
  /// The elements of the operands.
  public var read: Int
  /// The elements of the result.
  public var written: Int
  /// The channels that are made side by side at every position: those of one group, or all of a depthwise convolution. 1 where there is no
  /// product.
  public var width: Int
  /// The inputs of one output, channels and taps. 1 where there is no product.
  public var depth: Int

  /// The work of one node; see the properties.
  public init(
    _ kind: OperationKind, macs: Int = 0, weights: Int = 0, read: Int, written: Int, width: Int = 1,
    depth: Int = 1
  ) {
    self.kind = kind
    self.macs = macs
    self.weights = weights
    self.read = read
    self.written = written
    self.width = width
    self.depth = depth
  }
}

extension Convolution {
  /// All kinds that a runtime must have for it, the one whose kernel it runs in first.
  ///
  /// A weight that is shared over blocks of channels needs the dilation with which Keras files write it.
  public var kinds: [OperationKind] {
    if transposition != nil { return [.transposedConvolution] }
    guard spatialOrder > 0 || groups > 1 else { return [.linear] }
    let isDilated = window.dilation.contains { $0 > 1 } || batch > 1 && (spatialExtents.last ?? 1) > 1
    let steps: [OperationKind] =
      (window.stride.contains { $0 > 1 } ? [.stridedConvolution] : []) + (isDilated ? [.dilatedConvolution] : [])
    if groups > 1 { return [isDepthwise ? .depthwiseConvolution : .groupedConvolution] + steps }
    return steps + [spatialExtents.allSatisfy { $0 == 1 } ? .pointwiseConvolution : .convolution]
  }

  private var isDepthwise: Bool { groups > 1 && kernelShape[1] == 1 }

  /// See `NodeWork.width`.
  fileprivate var width: Int { isDepthwise ? outputChannels : kernelShape[0] / groups }

  /// Whether a bias, a normalisation or an activation behind it runs as its end. Files write a weight that is shared over blocks
  /// of channels between two reshapings, and these keep apart what follows.
  public var takesFinish: Bool { batch == 1 }
}

extension Node {
  /// What the node does, nothing for one that only changes a shape. A bias that cannot run as the end of its convolution is work of its
  /// own.
  ///
  /// - Parameters:
  ///   - inputs: the shapes of the operands.
  ///   - output: the shape of the result.
  public func work(inputs: [[Int]], output: [Int]) -> [NodeWork] {
    let read = inputs.reduce(0) { $0 + $1.reduce(1, *) }
    let written = output.reduce(1, *)
    func work(_ kind: OperationKind, weights: Int = 0, width: Int = 1, depth: Int = 1) -> NodeWork {
      NodeWork(
        kind, macs: macs(inputs: inputs.map { $0.map(Int?.some) }) ?? 0, weights: weights, read: read, written: written,
        width: width, depth: depth)
    }
    switch operation {
    case .convolution(let convolution, _, _, let bias):
      let channels = bias == nil ? 0 : convolution.outputChannels
      let product = work(
        convolution.kinds[0], weights: convolution.parameterCount + channels, width: convolution.width,
        depth: convolution.kernelShape.dropFirst().reduce(1, *))
      return bias == nil || convolution.takesFinish
        ? [product] : [product, NodeWork(.elementwise, read: written, written: written)]
    case .transposedConvolution(let convolution):
      return [
        work(
          .transposedConvolution, weights: convolution.kernelShape.reduce(1, *),
          width: convolution.kernelShape.dropFirst().reduce(1, *),
          depth: convolution.kernelShape[0] / convolution.groups)
      ]
    case .merge(.dot), .array(.matrixProduct), .array(.recurrent):
      return [work(.linear, width: output.last ?? 1, depth: inputs.first?.last ?? 1)]
    case .array(.einsum):
      let product = work(.linear)
      return [work(.linear, width: output.last ?? 1, depth: product.macs / max(1, written))]
    case .array(.convolution(let convolution)):
      guard inputs.count == 2, let kinds = convolution.kinds(kernel: inputs[1]) else { return [] }
      let width = inputs[1][convolution.isTransposed ? 1 : 0]
      return [work(kinds, width: width, depth: inputs[1].reduce(1, *) / max(1, width))]
    case .pooling, .globalPooling, .array(.reduce), .array(.extremum):
      return [work(.pooling)]
    case .permutation, .channelPermutation:
      return [work(.permutation)]
    case .padding, .cropping, .upsampling, .repetition, .merge(.concatenate):
      return [work(.copy)]
    case .batchNormalization, .layerNormalization, .activation, .parametricReLU, .merge, .scaling, .normalization,
      .bias:
      return [work(.elementwise)]
    case .array(let operation):
      return operation.kind.map { [work($0)] } ?? []
    case .reshape, .identity, .unsupported:
      return []
    }
  }
}

extension ArrayOperation {
  /// Nil for what only changes a shape, or is known before the network runs.
  fileprivate var kind: OperationKind? {
    switch self {
    case .constant, .parameter, .shape, .size, .reshape, .flatten, .squeeze, .unsqueeze, .align, .filled, .range: nil
    case .elementwise, .function, .trailingSoftmax, .triangle, .cumulativeSum: .elementwise
    case .transpose, .gather, .gatherElements, .gatherPoints, .scatterElements, .scatterPoints, .reverse, .gridSample,
      .depthToSpace, .spaceToDepth:
      .permutation
    case .expand, .tile, .slice, .concatenate, .part, .pad, .resize: .copy
    case .reduce, .extremum, .top, .maximumPlace: .pooling
    case .matrixProduct, .recurrent, .einsum: .linear
    case .convolution: .convolution
    }
  }
}
