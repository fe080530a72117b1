import TensorCore

extension Tensor where Scalar == Double {
  /// A matrix of products about the means.
  func centered(_ rowMeans: [Double], _ columnMeans: [Double]) -> Tensor {
    let columns = shape[1]
    return Tensor(
      shape: shape, elements: elements.enumerated().map { $1 - rowMeans[$0 / columns] * columnMeans[$0 % columns] })
  }
}
