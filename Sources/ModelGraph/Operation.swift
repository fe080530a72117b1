/// What a node computes. Axes count the batch as axis 0, or backwards from -1, the last; weights are in the program's order (see `Layer`).
public indirect enum Operation: Sendable, Equatable {
  /// Kernel (out, in / groups, spatial...), bias (batch * out). Without spatial axes: a linear layer on the last axis.
  case convolution(Convolution, layout: ChannelLayout, kernel: TensorReference, bias: TensorReference?)
  case transposedConvolution(TransposedConvolution)
  /// Batch normalisation with the stored statistics: (x - mean) / sqrt(variance + epsilon) * gamma + beta along `axis`.
  case batchNormalization(
    axis: Int, epsilon: Double, gamma: TensorReference?, beta: TensorReference?,
    mean: TensorReference, variance: TensorReference)
  /// Layer normalisation: the statistics are those of the sample over `axes`; gamma and beta have the shape of these
  /// axes.
  case layerNormalization(
    axes: [Int], epsilon: Double, gamma: TensorReference?, beta: TensorReference?)
  case activation(Activation)
  /// PReLU with learned slopes that broadcast over the batch.
  case parametricReLU(slopes: TensorReference)
  case pooling(Pooling)
  /// The mean or the maximum over all spatial axes.
  case globalPooling(Pooling.Kind, layout: ChannelLayout, keepsAxes: Bool)
  /// A constant border; one pair for every axis, the batch included.
  case padding(before: [Int], after: [Int], value: Float)
  /// Removes a border; one pair for every axis, the batch included.
  case cropping(before: [Int], after: [Int])
  /// Repeats or interpolates every spatial axis by a whole factor.
  case upsampling(factors: [Int], interpolation: Interpolation, layout: ChannelLayout)
  case merge(Merge)
  /// The shape after the batch; at most one extent is -1 and is computed.
  case reshape([Int])
  /// New axis n is old axis `order[n]`; the batch stays first.
  case permutation([Int])
  /// The function x * scale + offset, with one value, or one for every channel of the last axis.
  case scaling(scale: [Float], offset: [Float])
  /// The function (x - mean) / max(sqrt(variance), 1e-7) along `axes`, as Keras has it.
  case normalization(axes: [Int], mean: TensorReference, variance: TensorReference)
  /// Repeats a [batch, features] value `count` times: [batch, count, features].
  case repetition(count: Int)
  /// Sees the channel axis as `axes` (outermost first) and puts these in another order, as `Stage.permutation` does.
  case channelPermutation(axes: [Int], order: [Int], layout: ChannelLayout)
  /// Adds one value to every channel.
  case bias(TensorReference, layout: ChannelLayout)
  case identity
  /// An operation that knows no batch axis, as ONNX has it.
  case array(ArrayOperation)
  /// What the program cannot run, or must not: a Lambda, a custom layer, a recurrent layer. Inspect and plan still work on the model.
  case unsupported(type: String, reason: String)
}

/// The gradient of a convolution, as a layer.
public struct TransposedConvolution: Sendable, Equatable {
  /// Kernel (in, out / groups, spatial...) in the program's order.
  public var kernelShape: [Int]
  /// Input and output channels split into this many blocks; block g of the output sees block g of the input.
  public var groups: Int
  /// How the window of the convolution whose gradient this is moves over the output.
  public var window: Window
  /// Nil takes what makes the output input * stride (same) or all that the kernel and the stride reach (valid). Otherwise
  /// the output is (input - 1) * stride + this + the kernel's reach, of which `same` keeps only the parity (Keras).
  public var outputPadding: [Int]?
  /// The spatial extents of the output where they are stated. What the window reaches beyond them is cut off at both ends, an odd rest at
  /// the beginning, with the padding `same` at the end.
  public var outputExtents: [Int]?
  /// Where input and output keep their channels.
  public var layout: ChannelLayout
  /// The kernel in the checkpoint.
  public var kernel: TensorReference
  /// The bias in the checkpoint, one number for each output channel; nil where there is none.
  public var bias: TensorReference?

  /// A transposed convolution; see the properties.
  public init(
    kernelShape: [Int], groups: Int = 1, window: Window, outputPadding: [Int]? = nil,
    layout: ChannelLayout, kernel: TensorReference, bias: TensorReference?
  ) {
    self.kernelShape = kernelShape
    self.groups = groups
    self.window = window
    self.outputPadding = outputPadding
    self.layout = layout
    self.kernel = kernel
    self.bias = bias
  }
}

/// The maximum or the mean of every window.
public struct Pooling: Sendable, Equatable {
  /// What becomes of the cells of a window.
  public enum Kind: String, Sendable { case maximum, average }

  /// What becomes of the cells of a window.
  public var kind: Kind
  /// The cells of a window along each spatial axis.
  public var extents: [Int]
  /// How the window moves over the spatial axes.
  public var window: Window
  /// Where input and output keep their channels.
  public var layout: ChannelLayout
  /// Whether an average divides by the cells outside the input too; Keras does not.
  public var countsPadding: Bool
  /// Whether a last window that reaches over the end of the input and its padding counts, if it begins before (ONNX's ceil_mode).
  public var roundsUp: Bool

  /// A pooling; see the properties.
  public init(
    kind: Kind, extents: [Int], window: Window, layout: ChannelLayout, countsPadding: Bool = false,
    roundsUp: Bool = false
  ) {
    self.kind = kind
    self.extents = extents
    self.window = window
    self.layout = layout
    self.countsPadding = countsPadding
    self.roundsUp = roundsUp
  }
}

/// How the values between the input's places are made.
public enum Interpolation: String, Sendable { case nearest, bilinear }

/// How several values become one. Keras aligns them at the batch and, after it, from the right.
public enum Merge: Sendable, Equatable {
  case add, subtract, multiply, average, maximum, minimum
  case concatenate(axis: Int)
  /// The product that contracts one axis of each of two inputs, after scaling both to unit length along it if `normalizes`.
  case dot(axes: [Int], normalizes: Bool)
}

/// Every function of one value; `alpha`, `threshold` and the like as Keras names them.
public enum Activation: Sendable, Equatable {
  case linear
  /// The function max(x, 0) below `maximum`, and `negativeSlope * (x - threshold)` where x < threshold.
  case relu(negativeSlope: Float = 0, threshold: Float = 0, maximum: Float? = nil)
  case sigmoid, tanh, softplus, softsign, exponential, silu, mish, logSigmoid
  case hardSigmoidKeras2, hardSigmoid, hardSilu, hardTanh, tanhShrink, sparsePlus, sparseSigmoid, squareplus(b: Float)
  case elu(alpha: Float), celu(alpha: Float), selu
  case gelu(approximate: Bool)
  case softShrink(threshold: Float), hardShrink(threshold: Float), threshold(threshold: Float, value: Float)
  case softmax(axis: Int), logSoftmax(axis: Int), sparsemax(axis: Int), glu(axis: Int)
}
