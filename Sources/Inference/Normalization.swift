import Basics
import ModelGraph
import TensorCore

/// Statistics of each sample over `axes`, in double precision, then gamma and beta with the shape of these axes.
struct LayerNormalization: Computation {
  let axes: [Int]
  let epsilon: Double
  let gamma: [Float]?
  let beta: [Float]?

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let rank = outputShape.count
    let normalized = axes.map { $0.normalizedAxis(rank: rank) }.sorted()
    let others = outputShape.indices.filter { !normalized.contains($0) }
    let order = others + normalized
    var value = inputs.removeFirst()
    // The normalized axes last: every sample is then one contiguous row.
    let isSorted = order == Array(outputShape.indices)
    if !isSorted { value = value.permuted(order) }
    let count = normalized.reduce(1) { $0 * outputShape[$1] }
    for case let parameter? in [gamma, beta] where parameter.count != count {
      throw misfit("\(parameter.count) values for axes of \(count)", "expected one for each entry")
    }
    normalize(&value, rows: count)
    guard !isSorted else { return value }
    return value.permuted(order.inversePermutation)
  }

  private func normalize(_ value: inout Value, rows count: Int) {
    guard count > 0 else { return }
    for start in stride(from: 0, to: value.elements.count, by: count) {
      let range = start..<start + count
      var sum = 0.0
      for i in range { sum += Double(value.elements[i]) }
      let mean = sum / Double(count)
      var squares = 0.0
      for i in range {
        let difference = Double(value.elements[i]) - mean
        squares += difference * difference
      }
      let scale = 1 / (squares / Double(count) + epsilon).squareRoot()
      for i in range {
        let x = (Double(value.elements[i]) - mean) * scale
        value.elements[i] = Float(x) * (gamma?[i - start] ?? 1) + (beta?[i - start] ?? 0)
      }
    }
  }
}

/// Computes x * scale + offset with one value, or one for every channel of the last axis.
struct ScalingComputation: Computation {
  let affine: ChannelAffine

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    var value = inputs.removeFirst()
    if affine.offset.count == 1 {
      var all = value.elements.mutableSpan
      Finish(affine).apply(to: &all, channel: 0)
    } else {
      try Finish(affine).apply(to: &value, axis: outputShape.count - 1)
    }
    return value
  }
}

/// Computes (x - mean) / max(sqrt(variance), 1e-7) with stored statistics over some axes, as Keras's Normalization has
/// it.
struct AxesNormalization: Computation {
  let axes: [Int]
  let mean: [Float]
  let variance: [Float]

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let rank = outputShape.count
    let kept = Set(axes.map { $0.normalizedAxis(rank: rank) })
    let shape = outputShape.indices.map { kept.contains($0) ? outputShape[$0] : 1 }
    let count = shape.reduce(1, *)
    guard mean.count == count, variance.count == count else {
      throw misfit("\(mean.count) means and \(variance.count) variances", "expected \(count) of each")
    }
    let deviation = variance.map { max($0.squareRoot(), 1e-7) }
    var value = inputs.removeFirst()
    value.combine(with: Value(shape: shape, elements: mean)) { $0 - $1 }
    value.combine(with: Value(shape: shape, elements: deviation)) { $0 / $1 }
    return value
  }
}

/// Multiplies every x below 0 by a learned slope.
struct ParametricReLU: Computation {
  let slopes: Value

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let rank = outputShape.count
    var shape = slopes.shape
    // Slopes have no batch axis; axes that the layer shares have extent 1.
    guard shape.count < rank || (shape.count == rank && shape[0] == 1) else {
      throw misfit("slopes of \(shape)", "expected at most \(rank - 1) axes")
    }
    shape = Array(repeating: 1, count: rank - shape.count) + shape
    guard zip(shape, outputShape).allSatisfy({ $0 == 1 || $0 == $1 }) else {
      throw misfit("slopes of \(slopes.shape) for a value of \(outputShape)", "expected the same extents, or 1")
    }
    var value = inputs.removeFirst()
    value.combine(with: Value(shape: shape, elements: slopes.elements)) { $0 < 0 ? $0 * $1 : $0 }
    return value
  }
}
