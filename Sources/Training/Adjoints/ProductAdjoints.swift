import Inference
import LinearAlgebra
import ModelGraph
import TensorCore

/// NumPy's matrix product.
struct MatrixProductAdjoint: Adjoint {
  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { .operands }

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    let (a, b) = (pass.operands[0], pass.operands[1])
    // Vectors are matrices with one row on the left, one column on the right.
    let left = a.order == 1 ? [1] + a.shape : a.shape
    let right = b.order == 1 ? b.shape + [1] : b.shape
    let (m, k, n) = (left[left.count - 2], left[left.count - 1], right[right.count - 1])
    let isOne = right.count == 2
    let rank = max(left.count, right.count)
    func outer(_ shape: [Int]) -> [Int] { Array(repeating: 1, count: rank - shape.count) + shape.dropLast(2) }
    let extents = zip(outer(left), outer(right)).map { max($0, $1) }
    let count = extents.reduce(1, *)
    let x = a.reshaped(outer(left) + [m, k]).stretched(to: extents + [m, k])
    // One matrix on the right sees all rows at once.
    let (batches, rows) = isOne ? (1, count * m) : (count, m)
    let y = isOne ? b.reshaped([k, n]) : b.reshaped(outer(right) + [k, n]).stretched(to: extents + [k, n])
    var result = AdjointResult(operands: [nil, nil])
    if pass.isWanted[0] {
      var part = [Float](repeating: 0, count: batches * rows * k)
      for i in 0..<batches {
        BLAS.gemm(
          false, true, m: rows, n: k, k: n, a: pass.gradient.elements, aOffset: i * rows * n, lda: max(1, n),
          b: y.elements, bOffset: i * k * n, ldb: max(1, n), c: &part, cOffset: i * rows * k, ldc: max(1, k))
      }
      result.operands[0] = Tensor(shape: extents + [m, k], elements: part).summed(to: outer(left) + [m, k])
        .reshaped(a.shape)
    }
    if pass.isWanted[1] {
      var part = [Float](repeating: 0, count: batches * k * n)
      for i in 0..<batches {
        BLAS.gemm(
          true, false, m: k, n: n, k: rows, a: x.elements, aOffset: i * rows * k, lda: max(1, k),
          b: pass.gradient.elements, bOffset: i * rows * n, ldb: max(1, n), c: &part, cOffset: i * k * n,
          ldc: max(1, n))
      }
      result.operands[1] =
        isOne
        ? Tensor(shape: b.shape, elements: part)
        : Tensor(shape: extents + [k, n], elements: part).summed(to: outer(right) + [k, n]).reshaped(b.shape)
    }
    return result
  }
}

/// The product that contracts one axis of each of two inputs, sample by sample.
struct DotAdjoint: Adjoint {
  let axes: [Int]

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { .operands }

  func gradients(_ pass: AdjointPass) -> AdjointResult {
    let shapes = pass.operandShapes
    let places = zip(axes, shapes).map { $0.normalizedAxis(rank: $1.count) }
    // The contracted axis last.
    let orders = zip(places, shapes).map { place, shape in shape.indices.filter { $0 != place } + [place] }
    let turned = zip(pass.operands, orders).map { $0.permuted($1) }
    let depth = shapes[0][places[0]]
    let rows = turned.map { $0.shape[1..<$0.order - 1].reduce(1, *) }
    var result = AdjointResult(operands: [nil, nil])
    for side in 0...1 where pass.isWanted[side] {
      let (own, other) = (rows[side], rows[1 - side])
      var part = [Float](repeating: 0, count: turned[side].count)
      for sample in 0..<shapes[0][0] {
        BLAS.gemm(
          side == 1, false, m: own, n: depth, k: other, a: pass.gradient.elements, aOffset: sample * own * other,
          lda: max(1, side == 0 ? other : own), b: turned[1 - side].elements, bOffset: sample * other * depth,
          ldb: max(1, depth), c: &part, cOffset: sample * own * depth, ldc: max(1, depth))
      }
      result.operands[side] = Tensor(shape: turned[side].shape, elements: part)
        .permuted(orders[side].inversePermutation)
    }
    return result
  }
}
