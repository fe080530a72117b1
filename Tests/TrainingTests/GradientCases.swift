import ModelGraph
import TensorCore

/// One operation for every adjoint, with the shape of the value that goes in and of the weights that it reads.
struct GradientCase: Sendable, CustomStringConvertible {
  let description: String
  let shape: [Int]
  let operation: Operation
  /// Weights by name.
  var weights: [String: [Int]] = [:]
  /// Further operands: constants, or values of their own that are differentiated too.
  var constants: [Literal] = []
  var others: [[Int]] = []
  /// Whether elements stay away from the kinks and poles near 0.
  var isPositive = false
  var usesBatchStatistics = false

  init(
    _ description: String, _ shape: [Int], _ operation: Operation, weights: [String: [Int]] = [:],
    constants: [Literal] = [], others: [[Int]] = [], isPositive: Bool = false, usesBatchStatistics: Bool = false
  ) {
    self.description = description
    self.shape = shape
    self.operation = operation
    self.weights = weights
    self.constants = constants
    self.others = others
    self.isPositive = isPositive
    self.usesBatchStatistics = usesBatchStatistics
  }

  static let all = convolutions + normalizations + activations + poolings + arrangements + arithmetic

  private static func convolution(
    _ name: String, _ shape: [Int], _ kernel: [Int], groups: Int = 1, batch: Int = 1, _ window: Window,
    _ layout: ChannelLayout
  ) -> GradientCase {
    let convolution = Convolution(kernelShape: kernel, groups: groups, batch: batch, window: window)
    return GradientCase(
      name, shape, .convolution(convolution, layout: layout, kernel: "k", bias: "b"),
      weights: ["k": kernel, "b": [convolution.outputChannels]])
  }

  private static let convolutions: [GradientCase] = {
    let odd = Window(stride: [2, 1], dilation: [1, 2], padding: .explicit(before: [1, 0], after: [0, 2]))
    let same = Window(stride: [1, 1], dilation: [1, 1], padding: .same)
    let wide = Window(stride: [1, 1], dilation: [1, 3], padding: .explicit(before: [1, 3], after: [1, 3]))
    func transposed(_ name: String, _ window: Window, _ groups: Int, _ layout: ChannelLayout, _ shape: [Int])
      -> GradientCase
    {
      GradientCase(
        name, shape,
        .transposedConvolution(
          TransposedConvolution(
            kernelShape: [4, 3, 3, 2], groups: groups, window: window, layout: layout, kernel: "k", bias: "b")),
        weights: ["k": [4, 3, 3, 2], "b": [3 * groups]])
    }
    return [
      convolution("strides, dilations and borders", [2, 4, 6, 7], [6, 4, 3, 2], odd, .channelsFirst),
      convolution("the same, channels last", [2, 6, 7, 4], [6, 4, 3, 2], odd, .channelsLast),
      convolution("groups", [2, 6, 7, 4], [6, 2, 3, 2], groups: 2, odd, .channelsLast),
      convolution("groups, channels first", [2, 4, 6, 7], [6, 2, 3, 3], groups: 2, same, .channelsFirst),
      convolution(
        "same", [2, 5, 6, 3], [4, 3, 3, 2], Window(stride: [2, 2], dilation: [1, 1], padding: .same), .channelsLast),
      convolution("plain", [2, 3, 5, 6], [4, 3, 3, 3], same, .channelsFirst),
      convolution("plain, channels last", [2, 5, 6, 3], [4, 3, 3, 3], same, .channelsLast),
      convolution("pointwise", [2, 3, 5, 6], [4, 3, 1, 1], .unit(2), .channelsFirst),
      convolution("pointwise, channels last", [2, 5, 6, 3], [4, 3, 1, 1], .unit(2), .channelsLast),
      convolution("depthwise", [2, 3, 6, 5], [3, 1, 3, 3], groups: 3, same, .channelsFirst),
      convolution("depthwise, strides", [2, 6, 7, 3], [6, 1, 3, 2], groups: 3, odd, .channelsLast),
      convolution("Kronecker stage", [2, 6, 4, 9], [2, 3, 3, 3], batch: 2, wide, .channelsFirst),
      convolution("Kronecker stage, channels last", [2, 4, 9, 6], [2, 3, 3, 3], batch: 2, wide, .channelsLast),
      convolution(
        "Kronecker stage of rank 2, strides", [2, 8, 6, 7], [4, 2, 3, 2], groups: 2, batch: 2, odd, .channelsFirst),
      convolution(
        "causal", [2, 7, 3], [4, 3, 3], Window(stride: [1], dilation: [2], padding: .causal), .channelsLast),
      convolution(
        "wide border", [2, 2, 4, 4], [3, 2, 1, 1],
        Window(stride: [1, 1], dilation: [1, 1], padding: .explicit(before: [1, 1], after: [1, 1])), .channelsFirst),
      convolution("linear", [3, 5], [4, 5], .unit(0), .channelsLast),
      convolution("linear, copies and groups", [3, 2, 12], [4, 3], groups: 2, batch: 2, .unit(0), .channelsLast),
      transposed("transposed", same, 1, .channelsFirst, [2, 4, 3, 4]),
      transposed(
        "transposed, strides", Window(stride: [2, 3], dilation: [1, 1], padding: .valid), 2, .channelsLast,
        [2, 3, 4, 4]),
    ]
  }()

  private static let normalizations: [GradientCase] = {
    func batch(_ name: String, _ axis: Int, _ shape: [Int], _ usesBatch: Bool) -> GradientCase {
      GradientCase(
        name, shape,
        .batchNormalization(axis: axis, epsilon: 0.1, gamma: "g", beta: "b", mean: "m", variance: "variance"),
        weights: ["g": [3], "b": [3]], usesBatchStatistics: usesBatch)
    }
    return [
      batch("stored statistics", 1, [2, 3, 4, 5], false), batch("batch statistics", 1, [2, 3, 4, 5], true),
      batch("batch statistics, channels last", -1, [2, 4, 5, 3], true),
      GradientCase(
        "layer normalization", [2, 3, 4], .layerNormalization(axes: [2, 1], epsilon: 0.1, gamma: "g", beta: "b"),
        weights: ["g": [3, 4], "b": [3, 4]]),
      GradientCase("normalization", [2, 3, 4], .normalization(axes: [2], mean: "m", variance: "variance")),
      GradientCase("scaling", [2, 4, 3], .scaling(scale: [1, -2, 0.5], offset: [0, 1, 2])),
      GradientCase("scaling by one", [2, 4, 3], .scaling(scale: [-2], offset: [1])),
      GradientCase("bias", [2, 3, 4, 5], .bias("b", layout: .channelsFirst), weights: ["b": [3]]),
    ]
  }()

  private static let activations: [GradientCase] =
    [
      Activation.linear, .relu(), .relu(negativeSlope: 0.2, threshold: 0.5, maximum: 1.5), .relu(maximum: 1), .sigmoid,
      .tanh, .softplus, .softsign, .exponential, .silu, .mish, .logSigmoid, .hardSigmoidKeras2, .hardSigmoid, .hardSilu,
      .hardTanh, .tanhShrink, .sparsePlus, .sparseSigmoid, .squareplus(b: 2), .elu(alpha: 0.7), .celu(alpha: 0.7),
      .selu,
      .gelu(approximate: false), .gelu(approximate: true), .softShrink(threshold: 0.4), .hardShrink(threshold: 0.4),
      .threshold(threshold: 0.4, value: 0.1), .softmax(axis: -1), .softmax(axis: 1), .logSoftmax(axis: -1),
      .sparsemax(axis: -1), .glu(axis: 1),
    ].map { GradientCase("\($0)", [2, 4, 3], .activation($0)) }
    + [
      GradientCase("PReLU", [2, 4, 3], .parametricReLU(slopes: "a"), weights: ["a": [1, 3]])
    ]
    + [
      ElementFunction.negate, .absolute, .reciprocal, .squareRoot, .exponential, .logarithm, .erf, .sine, .cosine,
      .tangent,
      .arcTangent, .hyperbolicSine, .hyperbolicCosine, .clip(minimum: 0.3, maximum: 0.7), .arcSine, .arcCosine,
      .hardSigmoid(slope: 0.3, offset: 0.2), .floor, .sign,
    ].map { GradientCase("\($0)", [2, 4, 3], .array(.function($0)), isPositive: true) }

  private static let poolings: [GradientCase] = {
    func pooling(
      _ name: String, _ kind: Pooling.Kind, _ shape: [Int], _ extents: [Int], _ window: Window, _ layout: ChannelLayout,
      counts: Bool = false, roundsUp: Bool = false
    ) -> GradientCase {
      GradientCase(
        name, shape,
        .pooling(
          Pooling(
            kind: kind, extents: extents, window: window, layout: layout, countsPadding: counts, roundsUp: roundsUp)))
    }
    let same = Window(stride: [2, 2], dilation: [1, 1], padding: .same)
    return [
      pooling("average", .average, [2, 5, 6, 2], [3, 2], same, .channelsLast),
      pooling(
        "padded average", .average, [2, 2, 5, 6], [3, 2],
        Window(stride: [2, 1], dilation: [1, 1], padding: .explicit(before: [1, 1], after: [1, 0])), .channelsFirst,
        counts: true),
      pooling(
        "maximum", .maximum, [2, 5, 6, 2], [2, 3], Window(stride: [2, 2], dilation: [1, 1], padding: .valid),
        .channelsLast),
      pooling(
        "overlapping maximum", .maximum, [2, 2, 6, 6], [3, 3],
        Window(stride: [2, 2], dilation: [1, 1], padding: .valid), .channelsFirst, roundsUp: true),
      GradientCase("global", [2, 3, 4, 5], .globalPooling(.average, layout: .channelsFirst, keepsAxes: false)),
      GradientCase(
        "global, channels last", [2, 4, 5, 3], .globalPooling(.average, layout: .channelsLast, keepsAxes: true)),
      GradientCase("global maximum", [2, 4, 5, 3], .globalPooling(.maximum, layout: .channelsLast, keepsAxes: false)),
    ]
  }()

  private static let arrangements: [GradientCase] = [
    GradientCase("padding", [2, 3, 4], .padding(before: [0, 1, 0], after: [0, 0, 2], value: 3)),
    GradientCase("cropping", [2, 5, 4], .cropping(before: [0, 1, 0], after: [0, 1, 2])),
    GradientCase("reshape", [2, 3, 4], .reshape([4, -1])),
    GradientCase("permutation", [2, 3, 4, 2], .permutation([0, 3, 1, 2])),
    GradientCase(
      "channel permutation", [2, 6, 3, 2], .channelPermutation(axes: [2, 3], order: [1, 0], layout: .channelsFirst)),
    GradientCase(
      "upsampling", [2, 3, 2, 2], .upsampling(factors: [2, 3], interpolation: .nearest, layout: .channelsLast)),
    GradientCase(
      "bilinear", [2, 3, 4, 2], .upsampling(factors: [2, 2], interpolation: .bilinear, layout: .channelsLast)),
    GradientCase("repetition", [2, 3], .repetition(count: 3)),
    GradientCase("identity", [2, 3], .identity),
    GradientCase("concatenation", [2, 3, 4], .merge(.concatenate(axis: -1)), others: [[2, 3, 2]]),
    GradientCase("array concatenation", [2, 3, 4], .array(.concatenate(axis: 1)), others: [[2, 1, 4]]),
    GradientCase("transpose", [2, 3, 4], .array(.transpose(order: [2, 0, 1]))),
    GradientCase("reversal", [2, 3, 4], .array(.transpose(order: nil))),
    GradientCase("flatten", [2, 3, 4], .array(.flatten(axis: 1))),
    GradientCase("array reshape", [2, 3, 4], .array(.reshape(keepsZero: false)), constants: [Literal([2, 12])]),
    GradientCase(
      "slice", [2, 5, 4], .array(.slice),
      constants: [Literal([0, 3]), Literal([5, 0]), Literal([1, 2]), Literal([2, -1])]),
    GradientCase("gather", [2, 5, 4], .array(.gather(axis: 1)), constants: [Literal([3, 1, 1])]),
    GradientCase("part", [2, 6, 4], .array(.part(axis: 1, index: 1, count: 2))),
    GradientCase(
      "pad", [2, 4, 3], .array(.pad(.reflect, value: 0)), constants: [Literal([0, 2, 0, 0, 1, 1])]),
    GradientCase("expand", [2, 1, 3], .array(.expand), constants: [Literal([2, 4, 3])]),
    GradientCase("tile", [2, 2, 3], .array(.tile), constants: [Literal([1, 2, 2])]),
    GradientCase("depth to space", [2, 8, 2, 3], .array(.depthToSpace(block: 2, columnsFirst: true))),
    GradientCase("space to depth", [2, 2, 4, 6], .array(.spaceToDepth(block: 2))),
    GradientCase(
      "linear resize", [2, 2, 3, 4],
      .array(.resize(Resizing(size: .factors, coordinates: .halfPixel, method: .linear))),
      constants: [Literal(shape: [4], values: [1, 1, 2, 1.5])]),
    GradientCase(
      "nearest resize", [2, 2, 3, 4],
      .array(.resize(Resizing(size: .factors, coordinates: .asymmetric, method: .nearest(.floor)))),
      constants: [Literal(shape: [4], values: [1, 1, 2, 2])]),
    GradientCase(
      "alignment", [2, 3], .array(.align(axis: 0)), constants: [Literal(shape: [2, 3, 1], values: [0, 0, 0, 0, 0, 0])]),
    GradientCase(
      "gather elements", [2, 3], .array(.gatherElements(axis: 1)),
      constants: [Literal(shape: [2, 2], values: [2, -1, 0, 0])]),
    GradientCase(
      "gather points", [2, 3, 2], .array(.gatherPoints(batchAxes: 0)),
      constants: [Literal(shape: [3, 2], values: [0, 2, 1, -1, 0, 2])]),
    GradientCase("reverse", [3, 2, 4], .array(.reverse(axis: 2, batchAxis: 0)), constants: [Literal([1, 4, 3])]),
    GradientCase("triangle", [2, 3, 4], .array(.triangle(upper: true, diagonal: 1))),
    GradientCase(
      "cumulative sum", [2, 4, 3], .array(.cumulativeSum(axis: 1, excludesOwn: false, fromEnd: false))),
    GradientCase(
      "cumulative sum before, from the end", [2, 4, 3],
      .array(.cumulativeSum(axis: 2, excludesOwn: true, fromEnd: true))),
  ]

  private static let arithmetic: [GradientCase] =
    [Merge.add, .subtract, .multiply, .average, .maximum, .minimum].map {
      GradientCase("\($0)", [2, 3, 4], .merge($0), others: [[2, 3, 4]])
    }
    + [GradientCase("broadcast merge", [2, 3, 4], .merge(.multiply), others: [[2, 4]])]
    + [Elementwise.add, .subtract, .multiply, .divide, .power, .minimum, .maximum, .mean].map {
      GradientCase("elementwise \($0)", [2, 3, 4], .array(.elementwise($0)), others: [[3, 1]], isPositive: true)
    }
    + [
      GradientCase("elementwise PReLU", [2, 3, 4], .array(.elementwise(.parametricReLU)), others: [[3, 1]]),
      GradientCase("dot", [2, 3, 4], .merge(.dot(axes: [1, 2], normalizes: false)), others: [[2, 5, 3]]),
      GradientCase("matrix product", [2, 3, 4], .array(.matrixProduct), others: [[4, 5]]),
      GradientCase("stretched matrix product", [2, 1, 3, 4], .array(.matrixProduct), others: [[5, 4, 2]]),
      GradientCase(
        "einsum", [2, 3, 4], .array(.einsum(EinsumEquation(operands: [[0, 1, 2], [0, 2, 3]], output: [3, 0]))),
        others: [[2, 4, 5]]),
      GradientCase(
        "einsum of a diagonal", [3, 3, 4], .array(.einsum(EinsumEquation(operands: [[0, 0, 1]], output: [0])))),
      GradientCase("vector product", [2, 3, 4], .array(.matrixProduct), others: [[4]]),
      GradientCase("trailing softmax", [2, 3, 4], .array(.trailingSoftmax(axis: 1, logarithmic: false))),
      GradientCase("trailing log softmax", [2, 3, 4], .array(.trailingSoftmax(axis: 1, logarithmic: true))),
    ]
    + [
      Reduction.sum, .mean, .maximum, .minimum, .product, .sumOfSquares, .l1, .l2, .logOfSum, .logOfSumOfExponentials,
    ].map {
      GradientCase(
        "reduce \($0)", [2, 3, 4], .array(.reduce($0, keepsAxes: $0 == .sum, ignoresMissingAxes: false)),
        constants: [Literal([-1, 1])], isPositive: true)
    }
}

extension TensorReference: ExpressibleByStringLiteral {
  public init(stringLiteral value: String) { self.init(value) }
}
