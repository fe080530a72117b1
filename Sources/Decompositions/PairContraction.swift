import LinearAlgebra
import TensorCore

/// The contraction of two tensors: each is brought into a matrix layout, then multiplied.
struct PairContraction {
  /// How the product is computed.
  private enum Method {
    /// One matrix product: no label is shared and kept.
    case product(leftTransposed: Bool, rightTransposed: Bool)
    /// One matrix product for every value of the shared labels, which are outermost.
    case batchedProduct
    /// Runs over the shared labels, which are innermost: Hadamard, Khatri-Rao and the like.
    case runs
  }

  private let method: Method
  private var leftOrder: [Int]
  private var rightOrder: [Int]
  /// Extents of the labels that are shared and kept, of the left only, of the right only, and summed over.
  private let batch, rows, columns, inner: Int
  private let resultShape: [Int]
  let resultLabels: [Int]

  init(_ left: [Int], _ right: [Int], keeping keep: UInt64, extents: [Int]) {
    func isKept(_ label: Int) -> Bool { keep & (1 << UInt64(label)) != 0 }
    func extent(_ labels: [Int]) -> Int { labels.reduce(1) { $0 * extents[$1] } }
    func order(_ labels: [Int], in operand: [Int]) -> [Int] {
      labels.compactMap { operand.firstIndex(of: $0) }
    }
    let shared = left.filter { right.contains($0) && isKept($0) }
    let freeLeft = left.filter { !right.contains($0) }
    let freeRight = right.filter { !left.contains($0) }
    precondition((freeLeft + freeRight).allSatisfy(isKept), "a label occurs in one operand only")
    (batch, rows, columns) = (extent(shared), extent(freeLeft), extent(freeRight))
    let summed = left.filter { right.contains($0) && !isKept($0) }
    inner = extent(summed)

    if shared.isEmpty {
      // Of all layouts that the product can read, the one that moves the fewest elements.
      var choice: (cost: Int, leftOrder: [Int], rightOrder: [Int], method: Method)?
      for summedOrder in [summed, right.filter(summed.contains)] {
        for leftTransposed in [false, true] {
          for rightTransposed in [false, true] {
            let newLeft = leftTransposed ? summedOrder + freeLeft : freeLeft + summedOrder
            let newRight = rightTransposed ? freeRight + summedOrder : summedOrder + freeRight
            let cost = (newLeft == left ? 0 : extent(left)) + (newRight == right ? 0 : extent(right))
            if cost < choice?.cost ?? .max {
              choice = (
                cost, order(newLeft, in: left), order(newRight, in: right),
                .product(leftTransposed: leftTransposed, rightTransposed: rightTransposed)
              )
            }
          }
        }
      }
      leftOrder = choice?.leftOrder ?? []
      rightOrder = choice?.rightOrder ?? []
      method = choice?.method ?? .runs
      resultLabels = freeLeft + freeRight
    } else if Self.prefersRuns(rows: rows, columns: columns, inner: inner) {
      leftOrder = order(summed + freeLeft + shared, in: left)
      rightOrder = order(summed + freeRight + shared, in: right)
      method = .runs
      resultLabels = freeLeft + freeRight + shared
    } else {
      leftOrder = order(shared + freeLeft + summed, in: left)
      rightOrder = order(shared + summed + freeRight, in: right)
      method = .batchedProduct
      resultLabels = shared + freeLeft + freeRight
    }
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
  mutating func settleLeft(_ tensor: Tensor<Double>) -> Tensor<Double> {
    let settled = tensor.permuted(leftOrder)
    leftOrder = Array(leftOrder.indices)
    return settled
  }

  /// The right operand in the layout that the contraction reads; from now on it must come in this layout.
  mutating func settleRight(_ tensor: Tensor<Double>) -> Tensor<Double> {
    let settled = tensor.permuted(rightOrder)
    rightOrder = Array(rightOrder.indices)
    return settled
  }

  func callAsFunction(_ left: Tensor<Double>, _ right: Tensor<Double>) -> Tensor<Double> {
    let a = left.permuted(leftOrder).elements
    let b = right.permuted(rightOrder).elements
    var c = [Double](repeating: 0, count: batch * rows * columns)
    switch method {
    case .product(let leftTransposed, let rightTransposed):
      BLAS.gemm(
        leftTransposed, rightTransposed, m: rows, n: columns, k: inner,
        a: a, lda: max(1, leftTransposed ? rows : inner),
        b: b, ldb: max(1, rightTransposed ? inner : columns), c: &c, ldc: max(1, columns))
    case .batchedProduct:
      for i in 0..<batch {
        BLAS.gemm(
          false, false, m: rows, n: columns, k: inner,
          a: a, aOffset: i * rows * inner, lda: max(1, inner),
          b: b, bOffset: i * inner * columns, ldb: max(1, columns),
          c: &c, cOffset: i * rows * columns, ldc: max(1, columns))
      }
    case .runs: multiplyRuns(a, b, &c)
    }
    return Tensor(shape: resultShape, elements: c)
  }

  /// c[row, column, :] = sum_k a[k, row, :] * b[k, column, :].
  private func multiplyRuns(_ a: [Double], _ b: [Double], _ c: inout [Double]) {
    for k in 0..<inner {
      for row in 0..<rows {
        let x = a.span.extracting((k * rows + row) * batch..<(k * rows + row + 1) * batch)
        for column in 0..<columns {
          let y = (k * columns + column) * batch
          let z = (row * columns + column) * batch
          Self.addProduct(x, b.span.extracting(y..<y + batch), to: &c, at: z)
        }
      }
    }
  }

  private static func addProduct(
    _ x: Span<Double>, _ y: Span<Double>, to c: inout [Double], at offset: Int
  ) {
    var target = c.mutableSpan
    for i in x.indices { target[offset + i] += x[i] * y[i] }
  }
}
