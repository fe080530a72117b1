import Basics
import LinearAlgebra
import TensorCore

/// Which singular directions of a weight are trained next.
package enum Draw: String, Sendable, CaseIterable {
  /// Neighbours, from a random one on; as in ROSA's published code never the last one, unless all are drawn.
  case window
  /// Any, as ROSA's text says.
  case subset
  /// Those with the largest singular values.
  case top
  /// Those with the smallest.
  case bottom

  /// - Returns: `rank` of `count` directions, ascending.
  func directions(_ rank: Int, of count: Int, using generator: inout SplitMix64) -> [Int] {
    switch self {
    case .top: return Array(0..<rank)
    case .bottom: return Array(count - rank..<count)
    case .window:
      let start = rank < count ? Int(generator.next() % UInt64(count - rank)) : 0
      return Array(start..<start + rank)
    case .subset: return generator.permutation(of: count).prefix(rank).sorted()
    }
  }
}

/// A (out x R) and B (R x in * taps), whose product is added to a weight's unfolding (ROSA: Hameed et al., 2024).
package struct LowRankFactors: Sendable, Equatable {
  /// The left factor: (out x R).
  package var a: Tensor<Float>
  /// The right factor: (R x in * taps).
  package var b: Tensor<Float>

  /// Two factors whose product is defined.
  ///
  /// - Precondition: the inner extents agree.
  package init(a: Tensor<Float>, b: Tensor<Float>) {
    precondition(a.order == 2 && b.order == 2 && a.shape[1] == b.shape[0], "\(a.shape) and \(b.shape) have no product")
    self.a = a
    self.b = b
  }

  /// LoRA's beginning: A = 0 and B ~ N(0, 1), so that the product is nothing.
  package init(zeroFor shape: [Int], rank: Int, using generator: inout SplitMix64) {
    let (rows, columns) = Self.unfolding(shape)
    self.init(a: Tensor(zeros: [rows, rank]), b: Tensor(gaussian: [rank, columns], using: &generator))
  }

  /// The inner extent R.
  package var rank: Int { a.shape[1] }
  /// The elements of both factors.
  package var parameterCount: Int { a.count + b.count }

  /// The first axis against all others; a weight with one axis is a column.
  package static func unfolding(_ shape: [Int]) -> (rows: Int, columns: Int) {
    (shape.first ?? 1, shape.dropFirst().reduce(1, *))
  }

  /// The weight that these factors and its frozen part make, of the frozen part's shape.
  package func merged(into frozen: Tensor<Float>) -> Tensor<Float> {
    let (rows, columns) = Self.unfolding(frozen.shape)
    var elements = frozen.elements
    BLAS.gemm(
      false, false, m: rows, n: columns, k: rank, a: a.elements, lda: max(1, rank), b: b.elements, ldb: max(1, columns),
      beta: 1, c: &elements, ldc: max(1, columns))
    return Tensor(shape: frozen.shape, elements: elements)
  }

  /// The factors' gradients, from that of the weight they make.
  package func gradients(_ gradient: Tensor<Float>) -> (a: Tensor<Float>, b: Tensor<Float>) {
    let (rows, columns) = Self.unfolding(gradient.shape)
    let flat = gradient.reshaped([rows, columns])
    return (flat.times(b, otherTransposed: true), a.times(flat, transposed: true))
  }
}

extension LowRankFactors {
  /// Splits a weight W = frozen + A B by some of its singular directions: A = U_I s_I, B = V_I^T. What the two make together is W to
  /// rounding.
  ///
  /// - Parameters:
  ///   - weight: any shape; its unfolding is (first axis x others).
  ///   - rank: at most that of the unfolding's shorter side, which it is cut to.
  /// - Throws: `Failure` where the weight holds no numbers.
  package static func split(
    _ weight: Tensor<Float>, rank: Int, _ draw: Draw, using generator: inout SplitMix64
  ) throws -> (frozen: Tensor<Float>, factors: LowRankFactors) {
    let (rows, columns) = unfolding(weight.shape)
    let count = min(rows, columns)
    let rank = min(max(1, rank), count)
    let matrix = weight.reshaped([rows, columns]).converted(to: Double.self)
    let svd = try SingularValueDecomposition(matrix)
    let directions = draw.directions(rank, of: count, using: &generator)
    var a = [Float](repeating: 0, count: rows * rank)
    var b = [Float](repeating: 0, count: rank * columns)
    for (index, direction) in directions.enumerated() {
      for row in 0..<rows {
        a[row * rank + index] = Float(svd.u.elements[row * count + direction] * svd.values[direction])
      }
      for column in 0..<columns { b[index * columns + column] = Float(svd.vt.elements[direction * columns + column]) }
    }
    let factors = LowRankFactors(
      a: Tensor(shape: [rows, rank], elements: a), b: Tensor(shape: [rank, columns], elements: b))
    // In double precision, so that what is rounded is the result alone.
    let product = factors.a.converted(to: Double.self).times(factors.b.converted(to: Double.self))
    let frozen = matrix.subtracting(product).converted(to: Float.self)
    return (frozen.reshaped(weight.shape), factors)
  }
}
