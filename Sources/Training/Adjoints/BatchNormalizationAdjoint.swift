import Inference
import ModelGraph
import TensorCore

/// Batch normalisation with its stored statistics, which are constants, or with those of the batch, which move with the input
/// (Ioffe and Szegedy, 2015).
struct BatchNormalizationAdjoint: BatchStatisticsAdjoint {
  let axis: Int
  let epsilon: Double
  let gamma: TensorReference?
  let beta: TensorReference?
  let mean: TensorReference
  let variance: TensorReference

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads {
    gamma.map(isTrained) ?? false ? .operands : []
  }

  func runOnBatch(
    _ operands: [Tensor<Float>], weight: (TensorReference) throws -> Tensor<Float>
  ) throws -> (output: Tensor<Float>, statistics: BatchStatistics) {
    let input = operands.first.required("a normalisation has one operand")
    let statistics = BatchStatistics(input, axis: axis.normalizedAxis(rank: input.order))
    let gains = try gamma.map { try weight($0).elements }
    let shifts = try beta.map { try weight($0).elements }
    let scales = statistics.scale(epsilon)
    let factors = scales.indices.map { scales[$0] * (gains?[$0] ?? 1) }
    let offsets = scales.indices.map { (shifts?[$0] ?? 0) - Float(statistics.mean[$0]) * factors[$0] }
    return (input.scaled(factors, plus: offsets, along: axis.normalizedAxis(rank: input.order)), statistics)
  }

  func gradients(_ pass: AdjointPass) throws -> AdjointResult {
    let gradient = pass.gradient
    let axis = axis.normalizedAxis(rank: gradient.order)
    let gains = try gamma.map { try pass.weight($0).elements }
    let means: [Float]
    let scales: [Float]
    if let statistics = pass.statistics {
      means = statistics.mean.map { Float($0) }
      scales = statistics.scale(epsilon)
    } else {
      means = try pass.weight(mean).elements
      scales = try pass.weight(variance).elements.map { Float(1 / (Double($0) + epsilon).squareRoot()) }
    }
    var result = AdjointResult(operands: [nil])
    let sums = Tensor<Float>(sums: gradient.channelSums(axis))
    // sum(g x^), x^ the normalised input.
    let products = pass.operands.first.map { input -> [Float] in
      let raw = gradient.channelSums(axis, with: input)
      return raw.indices.map { (Float(raw[$0]) - means[$0] * sums.elements[$0]) * scales[$0] }
    }
    if let beta, pass.isTrained(beta) { result.weights.append((beta, sums)) }
    if let gamma, let products, pass.isTrained(gamma) {
      result.weights.append((gamma, Tensor(shape: [products.count], elements: products)))
    }
    guard pass.isWanted[0] else { return result }
    let factors = scales.indices.map { scales[$0] * (gains?[$0] ?? 1) }
    guard let statistics = pass.statistics, let products, let input = pass.operands.first else {
      result.operands[0] = gradient.combined(with: factors, along: axis) { $0 * $1 }
      return result
    }
    // factor (g - mean(g) - x^ mean(g x^)), as a g + b x + c.
    let part = 1 / Float(max(1, statistics.count))
    let slopes = factors.indices.map { -factors[$0] * products[$0] * part * scales[$0] }
    let offsets = factors.indices.map { -factors[$0] * sums.elements[$0] * part - slopes[$0] * means[$0] }
    result.operands[0] = gradient.scaled(factors, plus: input, times: slopes, plus: offsets, along: axis)
    return result
  }
}

extension Tensor where Scalar == Float {
  /// x * factor + offset, channel by channel.
  fileprivate func scaled(_ factors: [Float], plus offsets: [Float], along axis: Int) -> Tensor {
    var result = elements
    result.eachChannel(factors.count, inner: shape[(axis + 1)...].reduce(1, *)) { $0 * factors[$2] + offsets[$2] }
    return Tensor(shape: shape, elements: result)
  }

  /// x * factor + other * slope + offset, channel by channel.
  fileprivate func scaled(
    _ factors: [Float], plus other: Tensor, times slopes: [Float], plus offsets: [Float], along axis: Int
  ) -> Tensor {
    var result = elements
    let source = other.elements.span
    result.eachChannel(factors.count, inner: shape[(axis + 1)...].reduce(1, *)) {
      $0 * factors[$2] + source[$1] * slopes[$2] + offsets[$2]
    }
    return Tensor(shape: shape, elements: result)
  }
}

extension [Float] {
  /// Replaces every element by a function of it, its place and its channel.
  @inline(__always)
  fileprivate mutating func eachChannel(_ channels: Int, inner: Int, _ function: (Float, Int, Int) -> Float) {
    guard channels * inner > 0 else { return }
    var target = mutableSpan
    if inner == 1 {
      for start in stride(from: 0, to: target.count, by: channels) {
        for channel in 0..<channels {
          target[start + channel] = function(target[start + channel], start + channel, channel)
        }
      }
      return
    }
    var channel = 0
    for start in stride(from: 0, to: target.count, by: inner) {
      for i in start..<start + inner { target[i] = function(target[i], i, channel) }
      channel = channel + 1 == channels ? 0 : channel + 1
    }
  }
}
