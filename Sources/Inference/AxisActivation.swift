import Foundation
import ModelGraph

/// The activations that combine the entries of one axis.
struct AxisActivation: Computation {
  let activation: Activation

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    var value = inputs.removeFirst()
    let rank = value.shape.count
    switch activation {
    case .softmax(let axis): value.transform(axis) { softmax(&$0) }
    case .logSoftmax(let axis): value.transform(axis) { logSoftmax(&$0) }
    case .sparsemax(let axis): value.transform(axis) { sparsemax(&$0) }
    case .glu(let axis): return gate(value, axis: axis.normalizedAxis(rank: rank), outputShape)
    case .linear, .relu, .sigmoid, .tanh, .softplus, .softsign, .exponential, .silu, .mish, .logSigmoid,
      .hardSigmoidKeras2, .hardSigmoid, .hardSilu, .hardTanh, .tanhShrink, .sparsePlus, .sparseSigmoid, .squareplus,
      .elu, .celu, .selu, .gelu, .softShrink, .hardShrink, .threshold:
      preconditionFailure("\(activation) works element by element")
    }
    return value
  }
}

extension Value {
  /// Applies `body` to every line along an axis; a line that is not contiguous goes through a buffer.
  fileprivate mutating func transform(_ axis: Int, _ body: (inout MutableSpan<Float>) -> Void) {
    let axis = axis.normalizedAxis(rank: shape.count)
    let length = shape[axis]
    let inner = shape[(axis + 1)...].reduce(1, *)
    guard !elements.isEmpty else { return }
    var span = elements.mutableSpan
    if inner == 1 {
      for start in stride(from: 0, to: span.count, by: length) {
        span.withPart(start..<start + length) { body(&$0) }
      }
      return
    }
    var buffer = [Float](repeating: 0, count: length)
    for outer in stride(from: 0, to: span.count, by: length * inner) {
      for start in outer..<outer + inner {
        for i in 0..<length { buffer[i] = span[start + i * inner] }
        var line = buffer.mutableSpan
        body(&line)
        for i in 0..<length { span[start + i * inner] = buffer[i] }
      }
    }
  }
}

private func maximum(_ line: inout MutableSpan<Float>) -> Float {
  var result = -Float.infinity
  // Written so that a NaN stays.
  for i in 0..<line.count { result = line[i] <= result ? result : line[i] }
  return result
}

private func softmax(_ line: inout MutableSpan<Float>) {
  let top = maximum(&line)
  var sum: Float = 0
  for i in 0..<line.count { line[i] = expf(line[i] - top) }
  for i in 0..<line.count { sum += line[i] }
  for i in 0..<line.count { line[i] /= sum }
}

private func logSoftmax(_ line: inout MutableSpan<Float>) {
  let top = maximum(&line)
  var sum: Float = 0
  for i in 0..<line.count { sum += expf(line[i] - top) }
  let shift = top + logf(sum)
  for i in 0..<line.count { line[i] -= shift }
}

/// The projection onto the simplex. Source: Martins, Astudillo, "From softmax to sparsemax", 2016, algorithm 1.
private func sparsemax(_ line: inout MutableSpan<Float>) {
  var sorted: [Float] = []
  for i in 0..<line.count { sorted.append(line[i]) }
  sorted.sort(by: >)
  var sum: Float = 0
  var threshold: Float = 0
  for (k, z) in sorted.enumerated() {
    sum += z
    if 1 + Float(k + 1) * z > sum { threshold = (sum - 1) / Float(k + 1) }
  }
  for i in 0..<line.count { line[i] = max(line[i] - threshold, 0) }
}

/// The first half of an axis times the sigmoid of the second.
private func gate(_ value: Value, axis: Int, _ outputShape: [Int]) -> Value {
  let block = outputShape[axis...].reduce(1, *)
  var result = Value(zeros: outputShape)
  guard block > 0 else { return result }
  for (index, start) in stride(from: 0, to: result.elements.count, by: block).enumerated() {
    let source = 2 * index * block
    for i in 0..<block {
      result.elements[start + i] = value.elements[source + i] * logistic(value.elements[source + block + i])
    }
  }
  return result
}
