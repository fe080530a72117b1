import LinearAlgebra
import TensorCore

extension Tape {
  /// The gradients by all parameters; the logits hold those by the logits. Products with the weights go step by step, those that give
  /// the weights' gradients are one for all steps.
  mutating func backward(_ weights: RecurrentWeights, _ segment: Segment) -> [RecurrentParameter: Tensor<Float>] {
    let (n, d, r) = (shape.hidden, shape.inputs, shape.rank)
    let count = steps * rows
    BLAS.gemm(
      false, false, m: count, n: n, k: d, a: logits, lda: d, b: weights[.decoder], ldb: n, c: &asked, ldc: n)
    var offsets = [Float](repeating: 0, count: d * n)
    var gains = [Float](repeating: 0, count: weights.gain.count)
    var inputFactor = [Float](repeating: 0, count: d * r)
    for i in 0..<rows * n { sums[i] = 0 }
    for step in (0..<steps).reversed() {
      let symbols = segment.inputs[step * rows..<(step + 1) * rows]
      let place = step * rows * n
      Rows.slope(asked, sums, states, at: place, count: rows * n, into: &slopes)
      Rows.scatter(slopes, at: place, symbols, width: n, into: &offsets)
      switch shape.kind.bilinear {
      case .none: multiply(slopes, at: place, weights[.hidden], transposed: false, beta: 0)
      case .gated:
        Rows.scatterProduct(slopes, at: place, recurrent, at: place, symbols, width: n, into: &gains)
        Rows.multiply(weights.gain, symbols, width: n, by: slopes, at: place, into: &recurrent, at: place)
        multiply(recurrent, at: place, weights[.hidden], transposed: false, beta: 0)
      case .tensor: multiply(slopes, at: place, weights.merged, of: symbols, transposed: false)
      case .canonical:
        let product = step * rows * r
        BLAS.gemm(
          false, false, m: rows, n: r, k: n, a: slopes, aOffset: place, lda: n, b: weights[.outputFactor], ldb: r,
          c: &gatedSlopes, ldc: r)
        Rows.scatterProduct(gatedSlopes, at: 0, products, at: product, symbols, width: r, into: &inputFactor)
        Rows.multiply(
          weights[.inputFactor], symbols, width: r, by: gatedSlopes, at: 0, into: &products, at: product)
        BLAS.gemm(
          false, false, m: rows, n: n, k: r, a: products, aOffset: product, lda: r, b: weights[.stateFactor], ldb: n,
          c: &sums, ldc: n)
        if shape.kind.hasLinearTerms { multiply(slopes, at: place, weights[.hidden], transposed: false, beta: 1) }
      }
    }
    var gradients = tableGradients(weights, offsets: offsets, gains: gains)
    gradients[.decoder] = gradient(logits, d, states, at: rows * n, n)
    gradients[.decoderBias] = Tensor(shape: [d], elements: columnSums(logits, count, d))
    switch shape.kind.bilinear {
    case .none: gradients[.hidden] = gradient(slopes, n, states, n)
    case .gated: gradients[.hidden] = gradient(recurrent, n, states, n)
    case .tensor:
      let tensor = tensorGradient(segment)
      if shape.kind.hasLinearTerms {
        gradients[.hidden] = Tensor(shape: [n, n], elements: columnSums(tensor.elements, d, n * n))
      }
      gradients[.tensor] = tensor
    case .canonical:
      gradients[.outputFactor] = gradient(slopes, n, gated, r)
      gradients[.stateFactor] = gradient(products, r, states, n)
      gradients[.inputFactor] = Tensor(shape: [d, r], elements: inputFactor)
      if shape.kind.hasLinearTerms { gradients[.hidden] = gradient(slopes, n, states, n) }
    }
    return gradients
  }

  /// sum over all positions of a b^T: (rows of a x rows of b).
  private func gradient(_ a: [Float], _ m: Int, _ b: [Float], at offset: Int = 0, _ n: Int) -> Tensor<Float> {
    var result = [Float](repeating: 0, count: m * n)
    BLAS.gemm(
      true, false, m: m, n: n, k: steps * rows, a: a, lda: m, b: b, bOffset: offset, ldb: n, c: &result, ldc: n)
    return Tensor(shape: [m, n], elements: result)
  }

  /// The gradient by the matrices of all symbols: for each symbol the sum over its positions.
  private mutating func tensorGradient(_ segment: Segment) -> Tensor<Float> {
    let (n, d) = (shape.hidden, shape.inputs)
    let groups = SymbolGroups(segment.inputs[...], count: d)
    Rows.gather(states, at: 0, groups.order, width: n, into: &sorted)
    Rows.gather(slopes, at: 0, groups.order, width: n, into: &sortedProducts)
    var result = [Float](repeating: 0, count: d * n * n)
    for (symbol, range) in groups.groups {
      BLAS.gemm(
        true, false, m: n, n: n, k: range.count, a: sortedProducts, aOffset: range.lowerBound * n, lda: n,
        b: sorted, bOffset: range.lowerBound * n, ldb: n, c: &result, cOffset: symbol * n * n, ldc: n)
    }
    return Tensor(shape: [d, n, n], elements: result)
  }

  /// The gradients by the parameters that the tables offset[x] and gain[x] are made of.
  private func tableGradients(
    _ weights: RecurrentWeights, offsets: [Float], gains: [Float]
  ) -> [RecurrentParameter: Tensor<Float>] {
    let (n, d) = (shape.hidden, shape.inputs)
    var gradients = [RecurrentParameter.bias: Tensor(shape: [n], elements: columnSums(offsets, d, n))]
    guard shape.kind.bilinear == .gated else {
      if shape.kind.hasLinearTerms { gradients[.input] = Tensor(shape: [d, n], elements: offsets) }
      return gradients
    }
    let (input, alpha, beta2) = (weights[.input], weights[.alpha], weights[.beta2])
    var own = offsets
    var (ofAlpha, ofBeta) = (gains, offsets)
    for i in own.indices {
      own[i] = offsets[i] * beta2[i % n] + gains[i] * alpha[i % n]
      ofAlpha[i] *= input[i]
      ofBeta[i] *= input[i]
    }
    gradients[.input] = Tensor(shape: [d, n], elements: own)
    gradients[.alpha] = Tensor(shape: [n], elements: columnSums(ofAlpha, d, n))
    gradients[.beta1] = Tensor(shape: [n], elements: columnSums(gains, d, n))
    gradients[.beta2] = Tensor(shape: [n], elements: columnSums(ofBeta, d, n))
    return gradients
  }
}

/// The sums over the rows of a matrix.
private func columnSums(_ matrix: [Float], _ rows: Int, _ columns: Int) -> [Float] {
  var result = [Float](repeating: 0, count: columns)
  for row in 0..<rows {
    for column in 0..<columns { result[column] += matrix[row * columns + column] }
  }
  return result
}
