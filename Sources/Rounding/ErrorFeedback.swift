import Basics
import LinearAlgebra
import TensorCore

/// Rounds the rows of a matrix to grids so that the error counts little in a norm: each number is rounded after it has made up for the
/// errors of those before it.
///
/// With the norm's matrix H = L L^T the error of a row w that became q is ||L^T (w - q)||^2. From the last column to the first,
/// one component of that after the other depends on numbers that are rounded already and on one that is not, which takes the nearest place of its
/// grid: Babai's nearest plane, and the same as error feedback through the inverse (Frantar, Ashkboos, Hoefler and Alistarh, GPTQ, 2022, with its
/// order of columns by falling diagonal). H may be the Kronecker product of two matrices, whose factor is that of theirs.
struct ErrorFeedback {
  /// The lower factors of the two matrices, the columns in their new order.
  private let outer: Factor
  private let inner: Factor

  private struct Factor {
    /// The columns in the order in which the factor has them: by ascending diagonal.
    let order: [Int]
    let lower: [Double]
    /// The matrix with what the damping adds.
    let damped: Tensor<Double>
    var count: Int { order.count }

    init(_ matrix: Tensor<Double>, damping: Double) throws {
      let count = matrix.shape[0]
      let diagonal = (0..<count).map { matrix.elements[$0 * count + $0] }
      let mean = diagonal.reduce(0, +) / Double(max(1, count))
      order = (0..<count).sorted { (diagonal[$0], $0) < (diagonal[$1], $1) }
      var permuted = [Double](repeating: 0, count: count * count)
      for (i, row) in order.enumerated() {
        for (j, column) in order.enumerated() { permuted[i * count + j] = matrix.elements[row * count + column] }
      }
      let ridge = max(damping * mean, .leastNormalMagnitude)
      lower = try Cholesky(Tensor(shape: [count, count], elements: permuted), ridge: ridge).lower
      damped = matrix.addingToDiagonal(ridge)
    }

    subscript(row: Int, column: Int) -> Double { lower[row * order.count + column] }
  }

  /// What rounding adds to the diagonals of the matrices, as a part of their means.
  static let usualDamping = 0.01

  /// - Parameters:
  ///   - outer, inner: symmetric, positive semidefinite; H is their Kronecker product.
  ///   - damping: what is added to the diagonals, as a part of their means.
  /// - Throws: `Failure` where a matrix is not finite or all zero.
  init(outer: Tensor<Double>, inner: Tensor<Double>, damping: Double = usualDamping) throws {
    self.outer = try Factor(outer, damping: damping)
    self.inner = try Factor(inner, damping: damping)
  }

  /// The matrices whose product the norm is, the damping included.
  var outerMatrix: Tensor<Double> { outer.damped }
  var innerMatrix: Tensor<Double> { inner.damped }

  /// The integers that the rows become, and the error in the norm, row by row.
  ///
  /// - Parameters:
  ///   - rows: (rows x outer x inner).
  ///   - steps: the step of every number's grid, in the same order.
  ///   - levels: what the integers stand for.
  func rounded(_ rows: [Double], steps: [Double], levels: Levels) -> (integers: [Int8], errors: [Double]) {
    let (a, b) = (outer.count, inner.count)
    let count = rows.count / max(1, a * b)
    var integers = [Int8](repeating: 0, count: rows.count)
    var errors = [Double](repeating: 0, count: count)
    let lower = inner.lower.span
    // For each outer column what the rounded ones add to each inner column, and what the rounded inner columns of one add.
    var pendingSums = [Double](repeating: 0, count: a * b)
    var ownSums = [Double](repeating: 0, count: b)
    var pending = pendingSums.mutableSpan
    var own = ownSums.mutableSpan
    for row in 0..<count {
      let base = row * a * b
      pending.update(repeating: 0)
      for i in (0..<a).reversed() {
        let pivot = outer[i, i]
        own.update(repeating: 0)
        for j in (0..<b).reversed() {
          let place = base + outer.order[i] * b + inner.order[j]
          let diagonal = inner[j, j]
          let center = rows[place] + (own[j] + pending[i * b + j] / pivot) / diagonal
          let step = steps[place]
          let integer = levels.integer(nearest: center / step)
          integers[place] = integer
          let value = Double(levels.multiple(integer)) * step
          let rest = rows[place] - value
          let component = pivot * diagonal * (center - value)
          errors[row] += component * component
          let from = j * b
          for column in 0..<j { own[column] += rest * lower[from + column] }
          own[j] += rest * diagonal
        }
        // `own` is now the residual times the inner factor.
        for earlier in 0..<i {
          let weight = outer[i, earlier]
          guard weight != 0 else { continue }
          for j in 0..<b { pending[earlier * b + j] += weight * own[j] }
        }
      }
    }
    return (integers, errors)
  }

  /// The error of one row in the norm, whatever its numbers became.
  ///
  /// - Parameters:
  ///   - row: (outer x inner).
  ///   - steps: the step of every number's grid.
  ///   - levels: what the integers stand for.
  func error(of integers: [Int8], _ row: [Double], _ steps: [Double], _ levels: Levels) -> Double {
    let (a, b) = (outer.count, inner.count)
    let lower = inner.lower.span
    // The residual times the inner factor, outer column by outer column.
    var turned = [Double](repeating: 0, count: a * b)
    for i in 0..<a {
      for j in 0..<b {
        let place = outer.order[i] * b + inner.order[j]
        let rest = row[place] - Double(levels.multiple(integers[place])) * steps[place]
        for column in 0...j { turned[i * b + column] += rest * lower[j * b + column] }
      }
    }
    var error = 0.0
    for i in 0..<a {
      for j in 0..<b {
        var component = 0.0
        for k in i..<a { component += outer[k, i] * turned[k * b + j] }
        error += component * component
      }
    }
    return error
  }
}
