import Decompositions
import TensorCore

/// A factor as error feedback sees it: rows that are independent of each other, and in each the columns of a Kronecker product of two matrices.
struct RoundingProblem {
  let outer: Tensor<Double>
  let inner: Tensor<Double>
  /// For each place in (rows, outer, inner) the element of the factor.
  private let places: [Int]

  /// - Parameters:
  ///   - shape: of the factor as its normal equations see it.
  ///   - components: the matrices of the normal equations; what no component has is rows.
  init(_ shape: [Int], _ components: [NormalEquations.Component]) {
    var parts = components.map { (axes: $0.axes, gram: $0.gram) }
    while parts.count > 2 {
      parts.sort { $0.gram.shape[0] < $1.gram.shape[0] }
      let (a, b) = (parts.removeFirst(), parts.removeFirst())
      parts.append((a.axes + b.axes, Self.kronecker(a.gram, b.gram)))
    }
    parts.sort { $0.gram.shape[0] < $1.gram.shape[0] }
    let one = (axes: [Int](), gram: Tensor<Double>(shape: [1, 1], elements: [1]))
    let first = parts.count > 1 ? parts[0] : one
    let second = parts.last ?? one
    outer = first.gram
    inner = second.gram
    let owned = Set(first.axes + second.axes)
    let order = shape.indices.filter { !owned.contains($0) } + first.axes + second.axes
    let count = shape.reduce(1, *)
    places = Tensor<Double>(shape: shape, elements: (0..<count).map(Double.init)).permuted(order).elements.map {
      Int($0)
    }
  }

  /// What an error of each element counts by itself, in the factor's order.
  var weights: [Double] {
    let (a, b) = (outer.shape[0], inner.shape[0])
    var result = [Double](repeating: 0, count: places.count)
    for (position, place) in places.enumerated() {
      let (i, j) = (position / b % a, position % b)
      result[place] = outer.elements[i * a + i] * inner.elements[j * b + j]
    }
    return result
  }

  /// Elements of the factor in the order (rows, outer, inner).
  func gathered<Element>(_ elements: [Element]) -> [Element] { places.map { elements[$0] } }

  /// The inverse of `gathered`.
  func scattered(_ elements: [Int8]) -> [Int8] {
    var result = [Int8](repeating: 0, count: elements.count)
    for (position, place) in places.enumerated() { result[place] = elements[position] }
    return result
  }

  private static func kronecker(_ a: Tensor<Double>, _ b: Tensor<Double>) -> Tensor<Double> {
    let (m, n) = (a.shape[0], b.shape[0])
    var elements = [Double](repeating: 0, count: m * n * m * n)
    for i in 0..<m {
      for j in 0..<m {
        let factor = a.elements[i * m + j]
        for k in 0..<n {
          for l in 0..<n { elements[(i * n + k) * m * n + j * n + l] = factor * b.elements[k * n + l] }
        }
      }
    }
    return Tensor(shape: [m * n, m * n], elements: elements)
  }
}
