import LinearAlgebra
import TensorCore

/// What a pass through a segment remembers for the way back, and the room for both, allocated once. All matrices have one row for each
/// row of the segment, step after step.
struct Tape {
  let shape: RecurrentShape
  /// The states before the first step and after each (steps + 1).
  var states: [Float]
  /// V h of a gated term, then its slope.
  var recurrent: [Float]
  /// A^T h of a canonical term (R numbers), then its slope.
  var products: [Float]
  /// The products A^T h times B^T x.
  var gated: [Float]
  /// Logits, then their slopes.
  var logits: [Float]
  /// What the decoder asks of the states.
  var asked: [Float]
  /// The slopes before the activation.
  var slopes: [Float]
  /// The sums of one step before the activation; on the way back what the next step asks of the states.
  var sums: [Float]
  /// The slopes of `gated` in one step.
  var gatedSlopes: [Float]
  /// Rows sorted by symbol, and products of these.
  var sorted: [Float]
  var sortedProducts: [Float]
  private(set) var rows = 0
  private(set) var steps = 0

  init(_ shape: RecurrentShape) {
    self.shape = shape
    (states, recurrent, products, gated, logits, asked) = ([], [], [], [], [], [])
    (slopes, sums, gatedSlopes, sorted, sortedProducts) = ([], [], [], [], [])
  }

  /// Makes room for a segment, and keeps what room there is.
  mutating func prepare(_ segment: Segment) {
    (rows, steps) = (segment.rows, segment.steps)
    let (n, count) = (shape.hidden, segment.count)
    func grow(_ array: inout [Float], to size: Int) {
      if array.count < size { array = [Float](repeating: 0, count: size) }
    }
    grow(&states, to: (count + rows) * n)
    grow(&logits, to: count * shape.inputs)
    grow(&asked, to: count * n)
    grow(&slopes, to: count * n)
    grow(&sums, to: rows * n)
    switch shape.kind.bilinear {
    case .none: break
    case .gated: grow(&recurrent, to: count * n)
    case .canonical:
      grow(&products, to: count * shape.rank)
      grow(&gated, to: count * shape.rank)
      grow(&gatedSlopes, to: rows * shape.rank)
    case .tensor:
      grow(&sorted, to: count * n)
      grow(&sortedProducts, to: count * n)
    }
    for i in 0..<rows * n { states[i] = segment.states.isEmpty ? 0 : segment.states[i] }
  }

  /// The states after the last step (rows x n).
  var lastStates: [Float] { Array(states[steps * rows * shape.hidden..<(steps + 1) * rows * shape.hidden]) }

  /// Runs from the first states to the logits of every step.
  mutating func forward(_ weights: RecurrentWeights, _ segment: Segment) {
    let (n, d) = (shape.hidden, shape.inputs)
    for step in 0..<steps {
      let symbols = segment.inputs[step * rows..<(step + 1) * rows]
      let (before, after) = (step * rows * n, (step + 1) * rows * n)
      switch shape.kind.bilinear {
      case .gated:
        product(weights[.hidden], from: before, to: before)
        Rows.activate(
          recurrent, at: before, gain: weights.gain, offset: weights.offset, symbols, width: n, into: &states, at: after
        )
        continue
      case .none: multiply(states, at: before, weights[.hidden], transposed: true, beta: 0)
      case .tensor: multiply(states, at: before, weights.merged, of: symbols, transposed: true)
      case .canonical:
        let r = shape.rank
        let place = step * rows * r
        BLAS.gemm(
          false, true, m: rows, n: r, k: n, a: states, aOffset: before, lda: n, b: weights[.stateFactor], ldb: n,
          c: &products, cOffset: place, ldc: r)
        Rows.multiply(weights[.inputFactor], symbols, width: r, by: products, at: place, into: &gated, at: place)
        BLAS.gemm(
          false, true, m: rows, n: n, k: r, a: gated, aOffset: place, lda: r, b: weights[.outputFactor], ldb: r,
          c: &sums, ldc: n)
        if shape.kind.hasLinearTerms { multiply(states, at: before, weights[.hidden], transposed: true, beta: 1) }
      }
      Rows.activate(
        sums, at: 0, gain: [], offset: weights.offset, symbols, width: n, into: &states, at: after)
    }
    BLAS.gemm(
      false, true, m: steps * rows, n: d, k: n, a: states, aOffset: rows * n, lda: n, b: weights[.decoder], ldb: n,
      c: &logits, ldc: d)
    let (bias, end) = (weights[.decoderBias], steps * rows * d)
    var target = logits.mutableSpan
    for place in stride(from: 0, to: end, by: d) {
      for i in 0..<d { target[place + i] += bias[i] }
    }
  }

  /// V h of one step into the tape.
  private mutating func product(_ matrix: [Float], from before: Int, to place: Int) {
    let n = shape.hidden
    BLAS.gemm(
      false, true, m: rows, n: n, k: n, a: states, aOffset: before, lda: n, b: matrix, ldb: n, c: &recurrent,
      cOffset: place, ldc: n)
  }

  /// Rows of one step times a matrix, or its transpose, on top of the sums or in their place: V h on the way forth, what the states before
  /// are asked for on the way back.
  mutating func multiply(_ source: [Float], at place: Int, _ matrix: [Float], transposed: Bool, beta: Float) {
    let n = shape.hidden
    BLAS.gemm(
      false, transposed, m: rows, n: n, k: n, a: source, aOffset: place, lda: n, b: matrix, ldb: n, beta: beta,
      c: &sums, ldc: n)
  }

  /// The same with a matrix for each symbol, A x2 x + V: rows with the same symbol meet the same one, so each symbol is one product.
  mutating func multiply(
    _ source: [Float], at place: Int, _ matrices: [Float], of symbols: ArraySlice<Int>, transposed: Bool
  ) {
    let n = shape.hidden
    let groups = SymbolGroups(symbols, count: shape.inputs)
    Rows.gather(source, at: place, groups.order, width: n, into: &sorted)
    for (symbol, range) in groups.groups {
      BLAS.gemm(
        false, transposed, m: range.count, n: n, k: n, a: sorted, aOffset: range.lowerBound * n, lda: n,
        b: matrices, bOffset: symbol * n * n, ldb: n, c: &sortedProducts, cOffset: range.lowerBound * n, ldc: n)
    }
    Rows.spread(sortedProducts, groups.order, width: n, into: &sums)
  }
}
