import LinearAlgebra
import ModelGraph
import TensorCore

/// Contracts the operands one after the other, each time as a batch of matrix products.
struct EinsumComputation: Computation {
  let equation: EinsumEquation

  /// A value whose axes have names, each once.
  private struct Named {
    var axes: [Int]
    var value: Value

    /// The value with these axes and no others.
    func ordered(_ order: [Int]) -> Value {
      value.permuted(order.compactMap { axes.firstIndex(of: $0) })
    }

    /// The sum over all other axes.
    func summed(keeping kept: Set<Int>) -> Named {
      let (remaining, gone) = (axes.filter(kept.contains), axes.filter { !kept.contains($0) })
      guard !gone.isEmpty else { return self }
      let turned = ordered(remaining + gone)
      let shape = Array(turned.shape.prefix(remaining.count))
      let rows = shape.reduce(1, *)
      let count = rows > 0 ? turned.elements.count / rows : 0
      return Named(
        axes: remaining,
        value: Value(
          shape: shape,
          elements: (0..<rows).map { row in
            Float(turned.elements[row * count..<(row + 1) * count].reduce(0) { $0 + Double($1) })
          }))
    }
  }

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let axes = try equation.axes(ranks: inputs.map(\.shape.count))
    var extents: [Int: Int] = [:]
    for (names, value) in zip(axes.operands, inputs) {
      for (name, extent) in zip(names, value.shape) { extents[name] = max(extents[name] ?? 1, extent) }
      for (name, extent) in zip(names, value.shape) where extent == 0 { extents[name] = 0 }
    }
    let operands = zip(axes.operands, inputs).map { Self.named($1, $0, extents) }
    var result = operands[0]
    for index in operands.indices {
      let later = Set(axes.operands[(index + 1)...].flatMap(\.self) + axes.output)
      result =
        index == 0
        ? result.summed(keeping: later) : Self.product(result, operands[index], keeping: later)
    }
    return result.ordered(axes.output).reshaped(outputShape)
  }

  /// Stretches axes of extent 1, and takes the diagonal of axes that are there twice.
  private static func named(_ value: Value, _ names: [Int], _ extents: [Int: Int]) -> Named {
    let full = value.stretched(to: names.map { extents[$0] ?? 1 })
    var distinct: [Int] = []
    for name in names where !distinct.contains(name) { distinct.append(name) }
    guard distinct.count < names.count else { return Named(axes: names, value: full) }
    let strides = Tensor<Float>.strides(of: full.shape)
    let steps = distinct.map { name in zip(names, strides).reduce(0) { $0 + ($1.0 == name ? $1.1 : 0) } }
    let shape = distinct.map { extents[$0] ?? 1 }
    var result = Value(zeros: shape)
    let own = Tensor<Float>.strides(of: shape)
    for i in result.elements.indices {
      let place = shape.indices.reduce(0) { $0 + i / own[$1] % shape[$1] * steps[$1] }
      result.elements[i] = full.elements[place]
    }
    return Named(axes: distinct, value: result)
  }

  private static func product(_ a: Named, _ b: Named, keeping kept: Set<Int>) -> Named {
    let left = a.summed(keeping: kept.union(b.axes))
    let right = b.summed(keeping: kept.union(a.axes))
    let shared = left.axes.filter(right.axes.contains)
    let batch = shared.filter(kept.contains)
    let inner = shared.filter { !kept.contains($0) }
    let rows = left.axes.filter { !shared.contains($0) }
    let columns = right.axes.filter { !shared.contains($0) }
    let x = left.ordered(batch + rows + inner)
    let y = right.ordered(batch + inner + columns)
    func count(_ shape: [Int], _ range: Range<Int>) -> Int { shape[range].reduce(1, *) }
    let batches = count(x.shape, 0..<batch.count)
    let m = count(x.shape, batch.count..<batch.count + rows.count)
    let k = count(x.shape, batch.count + rows.count..<x.shape.count)
    let n = count(y.shape, batch.count + inner.count..<y.shape.count)
    var result = Value(
      zeros: Array(x.shape[..<(batch.count + rows.count)]) + Array(y.shape[(batch.count + inner.count)...]))
    if !result.elements.isEmpty {
      for i in 0..<batches {
        BLAS.gemm(
          false, false, m: m, n: n, k: k, a: x.elements, aOffset: i * m * k, lda: max(1, k), b: y.elements,
          bOffset: i * k * n, ldb: max(1, n), c: &result.elements, cOffset: i * m * n, ldc: max(1, n))
      }
    }
    return Named(axes: batch + rows + columns, value: result)
  }
}
