import Basics

/// The scalar types that tensors of this program hold: Float where networks run, Double where kernels are fitted.
public protocol TensorScalar: BinaryFloatingPoint, SIMDScalar, Codable, Sendable {}
extension Float: TensorScalar {}
extension Double: TensorScalar {}

/// A dense row-major tensor: the last mode varies fastest. A scalar has the empty shape.
public struct Tensor<Scalar: TensorScalar>: Sendable, Equatable {
  /// The extent of every mode.
  public let shape: [Int]
  /// The elements in row-major order; their count never changes.
  public var elements: [Scalar] {
    didSet { precondition(elements.count == oldValue.count, "a tensor keeps its element count") }
  }

  /// The count of modes.
  @inlinable public var order: Int { shape.count }
  /// The count of elements.
  @inlinable public var count: Int { elements.count }

  /// A tensor of this shape with these elements, row-major.
  ///
  /// - Precondition: `elements.count` equals the product of `shape`.
  public init(shape: [Int], elements: [Scalar]) {
    precondition(
      elements.count == shape.reduce(1, *) && shape.allSatisfy { $0 >= 0 },
      "\(elements.count) elements do not fill the shape \(shape)")
    self.shape = shape
    self.elements = elements
  }

  /// A tensor of zeros.
  public init(zeros shape: [Int]) {
    self.init(shape: shape, elements: Array(repeating: 0, count: shape.reduce(1, *)))
  }

  /// Independent standard-normal elements.
  public init(gaussian shape: [Int], using generator: inout SplitMix64) {
    self.init(
      shape: shape,
      elements: (0..<shape.reduce(1, *)).map { _ in Scalar(generator.nextGaussian()) })
  }

  /// The same elements under another shape, in the same order; no copy.
  public func reshaped(_ shape: [Int]) -> Tensor {
    Tensor(shape: shape, elements: elements)
  }

  /// The same elements in another scalar type, rounded to nearest.
  public func converted<Other: TensorScalar>(to _: Other.Type) -> Tensor<Other> {
    Tensor<Other>(shape: shape, elements: elements.map { Other($0) })
  }

  /// A function of every element.
  @inlinable public func map(_ transform: (Scalar) -> Scalar) -> Tensor {
    Tensor(shape: shape, elements: elements.map(transform))
  }

  /// The row-major strides of a shape, in elements.
  public static func strides(of shape: [Int]) -> [Int] {
    var strides = Array(repeating: 1, count: shape.count)
    for mode in shape.indices.dropLast().reversed() {
      strides[mode] = strides[mode + 1] * shape[mode + 1]
    }
    return strides
  }

  /// One element by its index in every mode; for tests and small loops.
  public subscript(index: [Int]) -> Scalar {
    precondition(index.count == order, "an index needs one entry for each mode")
    return elements[zip(index, Self.strides(of: shape)).reduce(0) { $0 + $1.0 * $1.1 }]
  }
}

extension Tensor {
  /// The Frobenius norm, accumulated in double precision.
  public var norm: Double { squaredNorm.squareRoot() }

  /// The sum of squares, accumulated in double precision.
  public var squaredNorm: Double {
    let span = elements.span
    return Self.sum(over: count) { Double(span[$0]) * Double(span[$0]) }
  }

  /// False as soon as one element is NaN or infinite.
  public var isFinite: Bool { elements.allSatisfy { $0.isFinite } }

  /// ||self - reference|| / ||reference||; a zero reference gives 0 for an equal tensor and infinity otherwise.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public func relativeDiscrepancy(from reference: Tensor) -> Double {
    precondition(shape == reference.shape, "shapes \(shape) and \(reference.shape) differ")
    let (a, b) = (elements.span, reference.elements.span)
    let difference = Self.sum(over: count) {
      let d = Double(a[$0]) - Double(b[$0])
      return d * d
    }
    let norm = reference.norm
    return norm > 0 ? difference.squareRoot() / norm : (difference == 0 ? 0 : .infinity)
  }

  /// Eight sums side by side, which the processor adds at once and which round less than one.
  @inline(__always) private static func sum(over count: Int, _ term: (Int) -> Double) -> Double {
    var sums = SIMD8<Double>.zero
    let whole = count & ~7
    for i in stride(from: 0, to: whole, by: 8) {
      for lane in 0..<8 { sums[lane] += term(i + lane) }
    }
    return (whole..<count).reduce(sums.sum()) { $0 + term($1) }
  }
}
