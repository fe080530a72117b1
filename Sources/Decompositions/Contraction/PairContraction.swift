import Basics
import LinearAlgebra
import TensorCore

/// The contraction of two tensors by matrix products or, where these would be thin, by runs along shared labels. Operands are
/// read where they lie, by strides, and permuted only where that is impossible.
struct PairContraction {
  /// The extents of the labels that are shared and kept, of the left only, of the right only, and summed over.
  private let batch, rows, columns, inner: Int
  /// Whether the shared labels are innermost, for runs, or outside of what a matrix product sees.
  private let usesRuns: Bool
  private var left: OperandLayout
  private var right: OperandLayout
  private let resultShape: [Int]
  let resultLabels: [Int]

  init(_ left: [Int], _ right: [Int], keeping keep: UInt64, extents: [Int]) {
    func isKept(_ label: Int) -> Bool { keep & (1 << UInt64(label)) != 0 }
    func extent(_ labels: [Int]) -> Int { labels.reduce(1) { $0 * extents[$1] } }
    let shared = left.filter { right.contains($0) && isKept($0) }
    let summed = left.filter { right.contains($0) && !isKept($0) }
    let freeLeft = left.filter { !right.contains($0) }
    let freeRight = right.filter { !left.contains($0) }
    precondition((freeLeft + freeRight).allSatisfy(isKept), "a label occurs in one operand only")
    (batch, rows, columns, inner) = (extent(shared), extent(freeLeft), extent(freeRight), extent(summed))

    // The labels that both have, in the order of the one or of the other: what moves fewer elements.
    let usesRuns = batch > 1 && Self.prefersRuns(rows: rows, columns: columns, inner: inner)
    self.usesRuns = usesRuns
    let choices = [left, right].map { order in
      let (own, sums) = (order.filter(shared.contains), order.filter(summed.contains))
      return (
        shared: own,
        left: OperandLayout(left, shared: own, free: freeLeft, summed: sums, extents, sharedInnermost: usesRuns),
        right: OperandLayout(right, shared: own, free: freeRight, summed: sums, extents, sharedInnermost: usesRuns)
      )
    }
    let costs = choices.map { ($0.left.isMoved ? extent(left) : 0) + ($0.right.isMoved ? extent(right) : 0) }
    let choice = choices[costs[1] < costs[0] ? 1 : 0]
    (self.left, self.right) = (choice.left, choice.right)
    resultLabels = usesRuns ? freeLeft + freeRight + choice.shared : choice.shared + freeLeft + freeRight
    resultShape = resultLabels.map { extents[$0] }
  }

  /// A matrix product pays for its call only when it is more than a vector on either side.
  private static func prefersRuns(rows: Int, columns: Int, inner: Int) -> Bool {
    inner < 4 || min(rows, columns) < 4
  }

  /// The time of a contraction in units of one multiply-accumulate inside a matrix product.
  static func cost(_ left: UInt64, _ right: UInt64, keeping keep: UInt64, extents: [Int]) -> Double {
    func extent(_ set: UInt64) -> Double {
      var (rest, product) = (set, 1.0)
      while rest != 0 {
        product *= Double(extents[rest.trailingZeroBitCount])
        rest &= rest - 1
      }
      return product
    }
    let total = extent(left | right)
    let shared = left & right & keep
    if shared == 0 { return total + extent(left) + extent(right) }
    let (rows, columns) = (extent(left & ~right), extent(right & ~left))
    let runs = Self.prefersRuns(
      rows: Int(rows), columns: Int(columns), inner: Int(extent(left & right & ~keep)))
    // Measured: a run is bound by the cache, a matrix product by the multipliers.
    return total * (runs ? 12 : 3)
  }

  /// The left operand in the layout that the contraction reads; from now on it must come in this layout.
  mutating func settleLeft<Scalar: BLASScalar>(_ tensor: Tensor<Scalar>) -> Tensor<Scalar> { left.settle(tensor) }

  /// The right operand in the layout that the contraction reads; from now on it must come in this layout.
  mutating func settleRight<Scalar: BLASScalar>(_ tensor: Tensor<Scalar>) -> Tensor<Scalar> { right.settle(tensor) }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func callAsFunction<Scalar: BLASScalar>(_ leftTensor: Tensor<Scalar>, _ rightTensor: Tensor<Scalar>) -> Tensor<Scalar>
  {
    let a = left.arranged(leftTensor)
    let b = right.arranged(rightTensor)
    var c = [Scalar](repeating: 0, count: batch * rows * columns)
    if usesRuns {
      multiplyRuns(a, b, &c)
    } else {
      // A matrix whose rows do not lie along its innermost label is read transposed.
      let leftTransposed = inner > 1 && left.summedStride != 1
      let rightTransposed = columns > 1 && right.freeStride != 1
      let lda = leftTransposed ? max(rows, left.summedStride) : max(inner, left.freeStride)
      let ldb = rightTransposed ? max(inner, right.freeStride) : max(columns, right.summedStride)
      for i in 0..<batch {
        BLAS.gemm(
          leftTransposed, rightTransposed, m: rows, n: columns, k: inner,
          a: a, aOffset: i * left.sharedStride, lda: max(1, lda), b: b, bOffset: i * right.sharedStride,
          ldb: max(1, ldb),
          c: &c, cOffset: i * rows * columns, ldc: max(1, columns))
      }
    }
    return Tensor(shape: resultShape, elements: c)
  }

  /// c[row, column, :] = sum_k a[k, row, :] * b[k, column, :].
  private func multiplyRuns<Scalar: BLASScalar>(_ a: [Scalar], _ b: [Scalar], _ c: inout [Scalar]) {
    for row in 0..<rows {
      for column in 0..<columns {
        let z = (row * columns + column) * batch
        for k in 0..<inner {
          let (x, y) = (
            row * left.freeStride + k * left.summedStride, column * right.freeStride + k * right.summedStride
          )
          Self.addProduct(a.span.extracting(x..<x + batch), b.span.extracting(y..<y + batch), to: &c, at: z)
        }
      }
    }
  }

  private static func addProduct<Scalar: BLASScalar>(
    _ x: Span<Scalar>, _ y: Span<Scalar>, to c: inout [Scalar], at offset: Int
  ) {
    var target = c.mutableSpan
    for i in x.indices { target[offset + i] += x[i] * y[i] }
  }
}

/// Where an operand's labels lie: shared with the other and kept, its own, and summed over.
private struct OperandLayout {
  /// The permutation that brings the operand into the layout.
  private var order: [Int]
  /// The distance between neighbours along the merged labels of each kind; where a kind has one value only, the distance that
  /// reads best.
  let sharedStride, freeStride, summedStride: Int

  var isMoved: Bool { order != Array(order.indices) }

  /// - Parameter sharedInnermost: whether the shared labels have to be innermost; else they must not be, unless alone.
  init(
    _ operand: [Int], shared: [Int], free: [Int], summed: [Int], _ extents: [Int], sharedInnermost: Bool
  ) {
    func extent(_ labels: [Int]) -> Int { labels.reduce(1) { $0 * extents[$1] } }
    let layouts =
      sharedInnermost
      ? [summed + free + shared, free + summed + shared]
      : [
        shared + free + summed, shared + summed + free, free + shared + summed, summed + shared + free,
      ]
    func isSame(_ layout: [Int]) -> Bool {
      layout.filter { extents[$0] > 1 } == operand.filter { extents[$0] > 1 }
    }
    let layout = layouts.first(where: isSame) ?? layouts[0]
    order =
      isSame(layout)
      ? Array(operand.indices) : layout.map { operand.firstIndex(of: $0).required("layouts have the operand's labels") }
    func stride(_ labels: [Int]) -> Int {
      guard let last = labels.last, let place = layout.lastIndex(of: last) else { return 0 }
      return extent(Array(layout[(place + 1)...]))
    }
    (sharedStride, freeStride, summedStride) = (stride(shared), stride(free), stride(summed))
  }

  func arranged<Scalar: BLASScalar>(_ tensor: Tensor<Scalar>) -> [Scalar] {
    (isMoved ? tensor.permuted(order) : tensor).elements
  }

  mutating func settle<Scalar: BLASScalar>(_ tensor: Tensor<Scalar>) -> Tensor<Scalar> {
    let settled = tensor.permuted(order)
    order = Array(order.indices)
    return settled
  }
}
