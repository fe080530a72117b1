import TensorCore

/// A tensor that operations may overwrite: unlike `Tensor`, its elements change in place.
struct Value {
  var shape: [Int]
  var elements: [Float]

  init(shape: [Int], elements: [Float]) {
    self.shape = shape
    self.elements = elements
  }

  init(_ tensor: Tensor<Float>) { self.init(shape: tensor.shape, elements: tensor.elements) }

  init(zeros shape: [Int]) {
    self.init(shape: shape, elements: Array(repeating: 0, count: shape.reduce(1, *)))
  }

  var tensor: Tensor<Float> { Tensor(shape: shape, elements: elements) }

  /// The same elements under another shape.
  consuming func reshaped(_ shape: [Int]) -> Value { Value(shape: shape, elements: elements) }

  func permuted(_ order: [Int]) -> Value { Value(tensor.permuted(order)) }
}
