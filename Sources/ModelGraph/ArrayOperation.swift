/// An operation on whole arrays, as NumPy and ONNX have it: no axis is the batch, shapes broadcast from the right, and what
/// decides about the output's shape may be a value that other nodes compute.
///
/// Where a case names operands, the node's inputs stand in that order. Axes may count from the end.
public enum ArrayOperation: Sendable, Equatable {
  /// A few numbers that are part of the graph. No operands.
  case constant(Literal)
  /// A tensor of the checkpoint with its shape in the program's order. No operands.
  case parameter(TensorReference, shape: [Int])
  /// One element from the operands' elements at the same place.
  case elementwise(Elementwise)
  case function(ElementFunction)

  /// The extents of some axes of the operand.
  case shape(axes: Range<Int>)
  /// The count of the operand's elements.
  case size
  /// Operands: data, extents. -1 is computed; 0 copies the data's extent unless `keepsZero`.
  case reshape(keepsZero: Bool)
  /// All axes before `axis` become one, and all others.
  case flatten(axis: Int)
  /// Operands: data, axes; without axes all of extent 1.
  case squeeze
  /// Operands: data, axes of the result.
  case unsqueeze
  /// New axis n is old axis `order[n]`; nil reverses all.
  case transpose(order: [Int]?)
  /// Operands: data, another value. The data with axes of extent 1 at its end, so that it broadcasts with the other value from that
  /// value's `axis` on.
  case align(axis: Int)
  /// Operands: data, extents to broadcast with.
  case expand
  /// Operands: data, one count for each axis.
  case tile
  /// Operands: extents. Every element is `value`.
  case filled(value: Double)
  /// Operands: start, limit, step.
  case range

  /// Operands: data, starts, ends, axes, steps. Without axes the first ones, without steps 1.
  case slice
  /// Operands: data, indices, which may count from the end.
  case gather(axis: Int)
  case concatenate(axis: Int)
  /// Part `index` of `count` along an axis. Operands: data, then the parts' extents, without which the parts are equal.
  case part(axis: Int, index: Int, count: Int)
  /// Indices count from the end where they are negative. Operands: data, indices, with an index along `axis` for every element of the
  /// output.
  case gatherElements(axis: Int)
  /// Operands: data, indices, whose last axis holds one index for each of the data's axes behind the first `batchAxes`.
  case gatherPoints(batchAxes: Int)
  /// The data with other elements at some places. Operands: data, indices along `axis`, updates of the indices' shape.
  case scatterElements(axis: Int, Scattering)
  /// Operands: data, indices, whose last axis holds one index for each of the data's first axes, updates.
  case scatterPoints(Scattering)
  /// The largest or smallest elements along an axis in their order, or their places. Operands: data, their count.
  case top(axis: Int, largest: Bool, places: Bool)
  /// The first elements along an axis in reverse order. Operands: data, a count for every place of the batch axis.
  case reverse(axis: Int, batchAxis: Int)
  /// The elements of a matrix on a diagonal and above it or below it, zeros elsewhere; diagonals count from the main one to the upper
  /// right.
  case triangle(upper: Bool, diagonal: Int)
  /// Operands: data, then the extents before and after every axis, or every one of the axes that a third operand names, which may be
  /// negative.
  case pad(PaddingMode, value: Double)
  /// Block elements move between the channels (axis 1) and the two spatial axes.
  case depthToSpace(block: Int, columnsFirst: Bool)
  case spaceToDepth(block: Int)

  /// The sum of the elements up to each place of an axis, or from it on; `excludesOwn` leaves out the place itself.
  case cumulativeSum(axis: Int, excludesOwn: Bool, fromEnd: Bool)
  /// Where in the whole operand the maximum of each window lies, counted row-major, or with the spatial axes the other way round.
  case maximumPlace(Pooling, columnsFirst: Bool)
  /// Operands: data, axes. Without axes all of them, or none if `ignoresMissingAxes`.
  case reduce(Reduction, keepsAxes: Bool, ignoresMissingAxes: Bool)
  /// The place of the largest or smallest element.
  case extremum(axis: Int, largest: Bool, keepsAxis: Bool)
  /// Operands: data, then a factor or an extent for every axis.
  case resize(Resizing)
  /// Operands: data (batch, channels, spatial...), places (batch, output extents..., spatial axes) from -1 to 1, the last spatial axis
  /// first.
  case gridSample(GridSampling)
  /// NumPy's matrix product.
  case matrixProduct
  /// Any product and sum over named axes.
  case einsum(EinsumEquation)
  /// A convolution whose kernel is a value. Operands: data (batch, channels, spatial...), kernel.
  case convolution(OperandConvolution)
  /// Softmax over all axes from `axis` on as one (ONNX before opset 13).
  case trailingSoftmax(axis: Int, logarithmic: Bool)
  case recurrent(RecurrentLayer)
}

/// An array in the graph itself.
public struct Literal: Sendable, Equatable {
  /// The extents of the array; empty for a single number.
  public let shape: [Int]
  /// The elements, row-major.
  public let values: [Double]

  /// An array of these extents with these elements, row-major.
  ///
  /// - Precondition: there are as many values as the shape says.
  public init(shape: [Int], values: [Double]) {
    precondition(shape.productIfExact == values.count, "\(values.count) values do not fill \(shape)")
    self.shape = shape
    self.values = values
  }

  /// A vector of integers: axes, extents.
  public init(_ integers: [Int]) { self.init(shape: [integers.count], values: integers.map(Double.init)) }

  /// A literal of a single number.
  public init(scalar: Double) { self.init(shape: [], values: [scalar]) }
}

/// A function of the elements at the same place of several arrays.
public enum Elementwise: String, Sendable {
  case add, subtract, multiply, divide
  /// A quotient of whole numbers, rounded towards zero.
  case integerDivide
  case power
  /// The rest of a division, with the sign of the divisor (modulo) or of the dividend (remainder).
  case modulo, remainder
  case minimum, maximum, mean
  case equal, less, greater, lessOrEqual, greaterOrEqual
  case and, or, xor
  /// Of the bits of whole numbers.
  case bitAnd, bitOr, bitXor, shiftLeft, shiftRight
  /// Operands: condition, value where it holds, value where not.
  case select
  /// Operands: data, slopes of negative elements.
  case parametricReLU
}

/// A function of one element for which `Activation` has no case.
public enum ElementFunction: Sendable, Equatable {
  case negate, absolute, sign, reciprocal, squareRoot, exponential, logarithm
  case floor, ceiling
  /// The nearest whole number; ties go to the even one.
  case round
  case erf, sine, cosine, tangent, arcSine, arcCosine, arcTangent, hyperbolicSine, hyperbolicCosine
  case areaHyperbolicSine, areaHyperbolicCosine, areaHyperbolicTangent
  case not, isNaN
  case isInfinite(positive: Bool, negative: Bool)
  /// Towards zero, as conversions to integers do.
  case truncate
  /// 1 unless the element is 0.
  case toBoolean
  /// What integers of so many bits make of a whole number: the rest, modulo 2 to the power of the bits.
  case wrap(bits: Int, isSigned: Bool)
  case clip(minimum: Float, maximum: Float)
  /// The function x - bias above the threshold, x + bias below its negative, and 0 between.
  case shrink(threshold: Float, bias: Float)
  /// The function max(0, min(1, slope * x + offset)).
  case hardSigmoid(slope: Float, offset: Float)
}

/// What a border holds: one number, the mirrored data, its edge, or its other end.
public enum PaddingMode: String, Sendable { case constant, reflect, edge, wrap }

/// What becomes of the elements along the reduced axes.
public enum Reduction: String, Sendable {
  case sum, mean, maximum, minimum, product, sumOfSquares, l1, l2, logOfSum, logOfSumOfExponentials
}

/// How an axis is sampled at other places (ONNX Resize).
public struct Resizing: Sendable, Equatable {
  /// What the second operand holds: factors, extents, or extents that one factor for all axes shall fit into, or shall fill.
  public enum Size: Sendable { case factors, extents, extentsToFit, extentsToFill }
  /// Which place of the input an output place stands for, under ONNX's names.
  public enum Coordinates: String, Sendable {
    case halfPixel = "half_pixel"
    case halfPixelSymmetric = "half_pixel_symmetric"
    case alignCorners = "align_corners"
    case asymmetric
    case pytorchHalfPixel = "pytorch_half_pixel"
    case crop = "tf_crop_and_resize"
  }
  /// Which neighbour is the nearest, under ONNX's names.
  public enum Rounding: String, Sendable {
    case preferFloor = "round_prefer_floor"
    case preferCeiling = "round_prefer_ceil"
    case floor
    case ceiling = "ceil"
  }
  /// How the values between the input's places are made.
  public enum Method: Sendable, Equatable {
    case nearest(Rounding)
    case linear
    /// Keys's kernel with this coefficient.
    case cubic(coefficient: Double, excludesOutside: Bool)
  }

  /// What the second operand holds.
  public var size: Size
  /// Which place of the input an output place stands for.
  public var coordinates: Coordinates
  /// How the values between the input's places are made.
  public var method: Method
  /// The axes that the second operand speaks of; nil means all.
  public var axes: [Int]?
  /// Whether the kernel grows with the step where an axis shrinks, so that no element is left out.
  public var antialiases = false
  /// Whether a kernel that grows leaves out what lies outside the input, rather than to repeat the edge.
  public var excludesOutside = false
  /// The part of the input that the coordinates `crop` show: for each of the axes where it begins and ends, from 0 to 1.
  public var region: [ClosedRegion] = []
  /// What lies outside the input for the coordinates `crop`.
  public var outside: Double = 0

  /// Where a region begins and ends along an axis; it may run backwards.
  public struct ClosedRegion: Sendable, Equatable {
    /// From 0, the first element, to 1, the last.
    public var start, end: Double

    /// A region from one place to another.
    public init(start: Double, end: Double) {
      self.start = start
      self.end = end
    }
  }

  /// A resizing of all axes without antialiasing.
  public init(size: Size, coordinates: Coordinates, method: Method) {
    self.size = size
    self.coordinates = coordinates
    self.method = method
  }
}

/// An LSTM or GRU over a sequence, as ONNX has it: data (steps, batch, features), or batch first. Operands: the data, then the
/// initial states in the order hidden, cell, where `hasInitialState` says so.
public struct RecurrentLayer: Sendable, Equatable {
  /// Which recurrence the layer runs.
  public enum Kind: String, Sendable {
    case lstm, gru, rnn

    /// Rows of blocks in the weights: i, o, f, c for an LSTM; z, r, h for a GRU.
    public var gateCount: Int {
      switch self {
      case .lstm: 4
      case .gru: 3
      case .rnn: 1
      }
    }
  }
  /// Which of its values the layer gives: all hidden states, the last hidden state, or the last cell.
  public enum Result: Sendable { case sequence, hidden, cell }

  /// Which recurrence the layer runs.
  public var kind: Kind
  /// The units of the hidden state in one direction.
  public var hiddenCount: Int
  /// One entry for each direction: whether it runs backwards.
  public var directions: [Bool]
  /// The weights of the input: (directions, gates * hidden, features).
  public var inputWeights: TensorReference
  /// The weights of the hidden state: (directions, gates * hidden, hidden).
  public var hiddenWeights: TensorReference
  /// The biases (directions, 2 * gates * hidden): those for the input, then those for the hidden state.
  public var bias: TensorReference?
  /// GRU: whether the reset gate acts after the hidden state's product.
  public var resetsAfterProduct: Bool
  /// Whether the initial states are operands; they are zero otherwise.
  public var hasInitialState: Bool
  /// Which of its values the layer gives.
  public var result: Result

  /// A layer has all these settings; see the properties.
  public init(
    kind: Kind, hiddenCount: Int, directions: [Bool], inputWeights: TensorReference, hiddenWeights: TensorReference,
    bias: TensorReference?, resetsAfterProduct: Bool, hasInitialState: Bool, result: Result
  ) {
    self.kind = kind
    self.hiddenCount = hiddenCount
    self.directions = directions
    self.inputWeights = inputWeights
    self.hiddenWeights = hiddenWeights
    self.bias = bias
    self.resetsAfterProduct = resetsAfterProduct
    self.hasInitialState = hasInitialState
    self.result = result
  }
}
