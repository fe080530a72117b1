import Inference
import ModelGraph
import TensorCore

/// The adjoint of (x - mean) / sqrt(variance + epsilon) with the sample's own statistics over some axes.
struct LayerNormalizationAdjoint: Adjoint {
  let axes: [Int]
  let epsilon: Double
  let gamma: TensorReference?
  let beta: TensorReference?

  func reads(isTrained: (TensorReference) -> Bool) -> AdjointReads { .operands }

  func gradients(_ pass: AdjointPass) throws -> AdjointResult {
    let shape = pass.gradient.shape
    let own = axes.map { $0.normalizedAxis(rank: shape.count) }.sorted()
    let order = shape.indices.filter { !own.contains($0) } + own
    let count = own.reduce(1) { $0 * shape[$1] }
    let input = pass.operands[0].permuted(order)
    let gradient = pass.gradient.permuted(order)
    let gains = try gamma.map { try pass.weight($0).elements }
    var result = gradient.elements
    var gammaSums = [Double](repeating: 0, count: count)
    var betaSums = gammaSums
    for start in stride(from: 0, to: result.count, by: max(1, count)) {
      let row = start..<start + count
      let mean = row.reduce(0.0) { $0 + Double(input.elements[$1]) } / Double(count)
      let variance =
        row.reduce(0.0) { $0 + (Double(input.elements[$1]) - mean) * (Double(input.elements[$1]) - mean) }
        / Double(count)
      let scale = 1 / (variance + epsilon).squareRoot()
      var (sum, product) = (0.0, 0.0)
      for i in row {
        let (g, x) = (Double(gradient.elements[i]), (Double(input.elements[i]) - mean) * scale)
        gammaSums[i - start] += g * x
        betaSums[i - start] += g
        let weighted = g * Double(gains?[i - start] ?? 1)
        sum += weighted
        product += weighted * x
      }
      for i in row {
        let x = (Double(input.elements[i]) - mean) * scale
        let weighted = Double(gradient.elements[i]) * Double(gains?[i - start] ?? 1)
        result[i] = Float(scale * (weighted - (sum + product * x) / Double(count)))
      }
    }
    var weights: [(TensorReference, Tensor<Float>)] = []
    for case (let reference?, let sums) in [(gamma, gammaSums), (beta, betaSums)] where pass.isTrained(reference) {
      weights.append((reference, Tensor(shape: try pass.weight(reference).shape, elements: sums.map { Float($0) })))
    }
    return AdjointResult(
      operands: [Tensor(shape: input.shape, elements: result).permuted(order.inversePermutation)], weights: weights)
  }
}

/// The adjoint of (x - mean) / max(sqrt(variance), 1e-7) with stored statistics over some axes.
struct AxesNormalizationAdjoint: Adjoint {
  let axes: [Int]
  let variance: TensorReference

  func gradients(_ pass: AdjointPass) throws -> AdjointResult {
    let shape = pass.gradient.shape
    let own = Set(axes.map { $0.normalizedAxis(rank: shape.count) })
    let scales = try pass.weight(variance).map { 1 / max($0.squareRoot(), 1e-7) }
      .reshaped(shape.indices.map { own.contains($0) ? shape[$0] : 1 }).stretched(to: shape)
    return AdjointResult(operands: [pass.gradient.multiplied(by: scales)])
  }
}
