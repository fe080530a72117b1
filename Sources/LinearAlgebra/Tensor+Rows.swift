import TensorCore

extension Tensor where Scalar == Double {
  /// The first `count` rows of a matrix, and rows of zeros where it has fewer.
  package func leadingRows(_ count: Int) -> Tensor {
    let (rows, columns) = (shape[0], shape[1])
    let kept = Array(elements[..<(Swift.min(count, rows) * columns)])
    let padding = [Double](repeating: 0, count: Swift.max(0, count - rows) * columns)
    return Tensor(shape: [count, columns], elements: kept + padding)
  }

  /// Rows of norm 1; those that are zero up to rounding become zero.
  func rowsNormalized() -> Tensor {
    let columns = shape[1]
    var result = elements
    var largest = 0.0
    for row in 0..<shape[0] {
      let range = row * columns..<(row + 1) * columns
      let norm = result[range].reduce(0) { $0 + $1 * $1 }.squareRoot()
      largest = Swift.max(largest, norm)
      let scale = norm > 1e-12 * largest ? 1 / norm : 0
      for i in range { result[i] *= scale }
    }
    return Tensor(shape: shape, elements: result)
  }
}
