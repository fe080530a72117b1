/// Where an activation tensor keeps its channels: `[batch, spatial..., channels]` or `[batch, channels, spatial...]`.
public enum ChannelLayout: String, Sendable {
  case channelsLast = "channels_last"
  case channelsFirst = "channels_first"

  /// The axis of the channels in a tensor with `rank` axes, the batch included.
  public func channelAxis(rank: Int) -> Int { self == .channelsLast ? rank - 1 : 1 }

  /// The spatial axes in a tensor with `rank` axes, the batch included.
  public func spatialAxes(rank: Int) -> Range<Int> {
    self == .channelsLast ? 1..<max(1, rank - 1) : 2..<max(2, rank)
  }
}

/// The border that a sliding window adds to its input.
public enum Padding: Sendable, Equatable {
  /// There is no padding.
  case valid
  /// The padding makes the output ceil(input / stride); an odd rest goes to the end (TensorFlow's and ONNX's
  /// SAME_UPPER).
  case same
  /// The same amount, an odd rest at the beginning (ONNX's SAME_LOWER).
  case sameLower
  /// All of it in front, so that no output sees a later input (Keras, 1D).
  case causal
  /// Stated for every spatial axis.
  case explicit(before: [Int], after: [Int])

  /// The amounts for one spatial axis.
  public func amounts(
    axis: Int, input: Int, kernel: Int, stride: Int, dilation: Int
  ) -> (before: Int, after: Int) {
    let reach = (kernel - 1) * dilation
    switch self {
    case .valid: return (0, 0)
    case .causal: return (reach, 0)
    case .explicit(let before, let after): return (before[axis], after[axis])
    case .same, .sameLower:
      let outputs = (input + stride - 1) / stride
      let total = max(0, (outputs - 1) * stride + reach + 1 - input)
      return self == .same
        ? (total / 2, total - total / 2) : (total - total / 2, total / 2)
    }
  }
}

/// How a window moves over the spatial axes. Every array has one entry for each spatial axis.
public struct Window: Sendable, Equatable {
  /// The steps between neighbouring outputs.
  public var stride: [Int]
  /// The steps between neighbouring taps of the window.
  public var dilation: [Int]
  /// The border that is added to the input.
  public var padding: Padding

  /// A window with these settings, one entry of each for every spatial axis.
  ///
  /// - Precondition: There are as many strides as dilations.
  public init(stride: [Int], dilation: [Int], padding: Padding) {
    precondition(stride.count == dilation.count, "strides and dilations differ in count")
    self.stride = stride
    self.dilation = dilation
    self.padding = padding
  }

  /// Stride 1, dilation 1, no padding.
  public static func unit(_ spatialOrder: Int) -> Window {
    let ones = Array(repeating: 1, count: spatialOrder)
    return Window(stride: ones, dilation: ones, padding: .valid)
  }

  /// The output extents for these input extents; 0 where the window does not fit.
  public func outputExtents(input: [Int], kernel: [Int]) -> [Int] {
    input.indices.map { outputExtent(axis: $0, input: input[$0], kernel: kernel[$0]) }
  }

  /// The output extent on one spatial axis; 0 where the window does not fit.
  public func outputExtent(axis: Int, input: Int, kernel: Int) -> Int {
    let (before, after) = padding.amounts(
      axis: axis, input: input, kernel: kernel, stride: stride[axis], dilation: dilation[axis])
    let room = input + before + after - (kernel - 1) * dilation[axis] - 1
    return room < 0 ? 0 : room / stride[axis] + 1
  }
}

/// A convolution without its weights. With no spatial axis it is a linear layer.
public struct Convolution: Sendable, Equatable {
  /// The shape of one copy of the weight: (out, in / groups, spatial...).
  public var kernelShape: [Int]
  /// Input and output channels split into this many blocks; block g of the output sees block g of the input.
  public var groups: Int
  /// The outermost part of the channel axis that shares the weight: channels are seen as (batch, in) and become
  /// (batch, out). 1 for an ordinary convolution; factored layers use it for the channels of the other factor.
  public var batch: Int
  /// How the kernel moves over the spatial axes.
  public var window: Window
  /// Set where the convolution runs backwards along the spatial axes: every input position adds the kernel to the output, as transposed
  /// convolutions do. The kernel's modes stay (out, in / groups, spatial...).
  public var transposition: Transposition?

  /// What a transposed convolution says beside its window.
  public struct Transposition: Sendable, Equatable {
    /// See `TransposedConvolution.outputPadding`.
    public var outputPadding: [Int]?

    /// A transposition with this output padding, one number for each spatial axis.
    public init(outputPadding: [Int]?) { self.outputPadding = outputPadding }
  }

  /// A convolution with these settings; see the properties.
  ///
  /// - Precondition: The kernel has the order of its window, and the groups divide the output channels.
  public init(
    kernelShape: [Int], groups: Int = 1, batch: Int = 1, window: Window, transposition: Transposition? = nil
  ) {
    precondition(kernelShape.count == window.stride.count + 2, "\(kernelShape) has another order than its window")
    precondition(groups >= 1 && kernelShape[0] % groups == 0, "\(groups) groups do not divide \(kernelShape)")
    self.kernelShape = kernelShape
    self.groups = groups
    self.batch = batch
    self.window = window
    self.transposition = transposition
  }

  /// The count of spatial axes; 0 for a linear layer.
  public var spatialOrder: Int { kernelShape.count - 2 }
  /// The taps along each spatial axis.
  public var spatialExtents: [Int] { Array(kernelShape.dropFirst(2)) }
  /// The channels that the convolution reads, over all groups and copies of the weight.
  public var inputChannels: Int { batch * groups * kernelShape[1] }
  /// The channels that the convolution makes, over all copies of the weight.
  public var outputChannels: Int { batch * kernelShape[0] }
  /// The kernel's shape in one of the groups: (out / groups, in / groups, spatial...).
  package var kernelShapePerGroup: [Int] { [kernelShape[0] / max(1, groups)] + kernelShape.dropFirst() }
  /// The elements of the weight, each copy counted once.
  public var parameterCount: Int { kernelShape.reduce(1, *) }

  /// Where this convolution keeps its channels. A linear layer keeps them on the last axis, whatever the layout of its graph.
  public func channelLayout(_ layout: ChannelLayout) -> ChannelLayout { spatialOrder > 0 ? layout : .channelsLast }

  /// The axis of the channels in an input or output with `rank` axes, the batch included.
  public func channelAxis(_ layout: ChannelLayout, rank: Int) -> Int { channelLayout(layout).channelAxis(rank: rank) }

  /// Multiply-accumulates for one output position, one input position where the convolution is transposed: every copy of the weight is
  /// used once.
  public var macsPerPosition: Int { batch * parameterCount }
}
