import Basics
import ModelGraph
import TensorCore

/// How an array of a data file becomes what an input of the network wants.
enum SampleArrangement: Sendable {
  case unchanged
  case permuted([Int])
  /// The extents of a sample, behind the samples.
  case reshaped([Int])
  /// A single number.
  case scalar

  /// As the array is where it fits the input's own layout; else with a missing singleton axis put in, or, for an image batch in the other
  /// layout, transposed. An image batch that could be transposed in two ways is refused rather than guessed.
  ///
  /// - Parameter sampleAxis: where the input counts its samples, of which the array may have any number; nil for an input that has none.
  /// - Throws: `Failure` where no reading fits, or two do.
  init(_ array: StoredTensor, as input: ModelGraph.Input, sampleAxis: Int?) throws {
    let shape = array.shape
    func fits(_ shape: [Int]) -> Bool {
      shape.count == input.shape.count
        && input.shape.indices.allSatisfy { axis in
          axis == sampleAxis || input.shape[axis] == nil || input.shape[axis] == shape[axis]
        }
    }
    guard !input.rankIsOpen, !fits(shape) else {
      self = .unchanged
      return
    }
    let transpositions = shape.count == 4 && sampleAxis == 0 ? [[0, 3, 1, 2], [0, 2, 3, 1]] : []
    let transposed = transpositions.filter { order in fits(order.map { shape[$0] }) }
    guard transposed.count <= 1 else {
      throw Failure(
        "array '\(array.name)'", "can be read in two ways",
        "its shape \(shape.map(Int?.some).text) fits \(input.shape.text) as NHWC and as NCHW",
        remedy: "give samples in the input's own layout")
    }
    let extents = input.shape.dropFirst().map { $0 ?? 0 }
    let full = [shape.first ?? 0] + extents
    if let order = transposed.first {
      self = .permuted(order)
    } else if sampleAxis == 0, shape.count == input.shape.count - 1,
      full.filter({ $0 != 1 }) == shape.filter({ $0 != 1 })
    {
      self = .reshaped(extents)
    } else if input.shape.isEmpty, shape == [1] {
      self = .scalar
    } else {
      throw Failure(
        "array '\(array.name)'", "does not fit input '\(input.name)'",
        "its shape is \(shape.map(Int?.some).text), the input's is \(input.shape.text)",
        remedy: "give samples of the input's shape")
    }
  }

  func apply(to array: Tensor<Float>) -> Tensor<Float> {
    switch self {
    case .unchanged: array
    case .permuted(let order): array.permuted(order)
    case .reshaped, .scalar: array.reshaped(shape(of: array.shape))
    }
  }

  /// What an array of this shape becomes.
  func shape(of shape: [Int]) -> [Int] {
    switch self {
    case .unchanged: shape
    case .permuted(let order): order.map { shape[$0] }
    case .reshaped(let extents): Array(shape.prefix(1)) + extents
    case .scalar: []
    }
  }
}
