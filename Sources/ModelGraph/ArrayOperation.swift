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
  /// Operands: data, extents to broadcast with.
  case expand
  /// Operands: data, one count for each axis.
  case tile
  /// Operands: extents. Every element is `value`.
  case filled(value: Double)
  /// Operands: start, limit, step.
  case range

  /// Operands: data, starts, ends, axes, steps.
  case slice
  /// Operands: data, indices, which may count from the end.
  case gather(axis: Int)
  case concatenate(axis: Int)
  /// Part `index` of `count` along an axis. Operands: data, then the parts' extents, without which the parts are equal.
  case part(axis: Int, index: Int, count: Int)
  /// Operands: data, then the extents before and after every axis, which may be negative.
  case pad(PaddingMode, value: Double)
  /// Block elements move between the channels (axis 1) and the two spatial axes.
  case depthToSpace(block: Int, columnsFirst: Bool)
  case spaceToDepth(block: Int)

  /// Operands: data, axes. Without axes all of them, or none if `ignoresMissingAxes`.
  case reduce(Reduction, keepsAxes: Bool, ignoresMissingAxes: Bool)
  /// The place of the largest or smallest element.
  case extremum(axis: Int, largest: Bool, keepsAxis: Bool)
  /// Operands: data, then a factor or an extent for every axis.
  case resize(Resizing)
  /// NumPy's matrix product.
  case matrixProduct
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
  case not, isNaN
  /// Towards zero, as conversions to integers do.
  case truncate
  /// 1 unless the element is 0.
  case toBoolean
  case clip(minimum: Float, maximum: Float)
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
  /// Whether the second operand holds factors or extents.
  public enum Size: Sendable { case factors, extents }
  /// Which place of the input an output place stands for, under ONNX's names.
  public enum Coordinates: String, Sendable {
    case halfPixel = "half_pixel"
    case alignCorners = "align_corners"
    case asymmetric
    case pytorchHalfPixel = "pytorch_half_pixel"
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

  /// Whether the second operand holds factors or extents.
  public var size: Size
  /// Which place of the input an output place stands for.
  public var coordinates: Coordinates
  /// How the values between the input's places are made.
  public var method: Method

  /// A resizing has all three settings.
  public init(size: Size, coordinates: Coordinates, method: Method) {
    self.size = size
    self.coordinates = coordinates
    self.method = method
  }
}
