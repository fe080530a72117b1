import LinearAlgebra
import TensorCore

/// What a second-order term sees on a text: E[z z^T] of z = h (x) x, whose blocks are the states' second moments beside each symbol,
/// and E[g g^T] of the slopes g of the loss before the activation.
package struct StateMoments: Sendable {
  private let shape: RecurrentShape
  /// (d, n, n), sums.
  private var states: [Double]
  /// (d, n), sums of the states before each symbol.
  private var means: [Double]
  /// How often each symbol occurred.
  private var counts: [Double]
  /// (n, n), sums.
  private var slopes: [Double]
  private var count = 0

  package init(_ shape: RecurrentShape) {
    self.shape = shape
    states = [Double](repeating: 0, count: shape.inputs * shape.hidden * shape.hidden)
    means = [Double](repeating: 0, count: shape.inputs * shape.hidden)
    counts = [Double](repeating: 0, count: shape.inputs)
    slopes = [Double](repeating: 0, count: shape.hidden * shape.hidden)
  }

  /// Adds what a tape holds after its way back.
  mutating func add(_ tape: Tape, _ segment: Segment) {
    let n = shape.hidden
    let groups = SymbolGroups(segment.inputs[...], count: shape.inputs)
    var rows = [Float](repeating: 0, count: segment.count * n)
    Rows.gather(tape.states, at: 0, groups.order, width: n, into: &rows)
    for (symbol, range) in groups.groups {
      let own = Tensor(shape: [range.count, n], elements: Array(rows[range.lowerBound * n..<range.upperBound * n]))
      for (i, value) in own.gramOfColumns.enumerated() { states[symbol * n * n + i] += value }
      for (i, value) in own.elements.enumerated() { means[symbol * n + i % n] += Double(value) }
      counts[symbol] += Double(range.count)
    }
    let slopes = Tensor(shape: [segment.count, n], elements: Array(tape.slopes[..<(segment.count * n)]))
    for (i, value) in slopes.gramOfColumns.enumerated() { self.slopes[i] += value }
    count += segment.count
  }

  package mutating func add(_ other: StateMoments) {
    for i in states.indices { states[i] += other.states[i] }
    for i in means.indices { means[i] += other.means[i] }
    for i in counts.indices { counts[i] += other.counts[i] }
    for i in slopes.indices { slopes[i] += other.slopes[i] }
    count += other.count
  }

  /// E[z z^T] over (state, input): (n d x n d), the order of a kernel's patch. Zero between different symbols.
  package var inputMoment: Tensor<Double> {
    let (n, d) = (shape.hidden, shape.inputs)
    var elements = [Double](repeating: 0, count: n * d * n * d)
    for x in 0..<d {
      for i in 0..<n {
        for j in 0..<n {
          elements[(i * d + x) * n * d + j * d + x] = states[(x * n + i) * n + j] / Double(max(1, count))
        }
      }
    }
    return Tensor(shape: [n * d, n * d], elements: elements)
  }

  /// E[z w^T] of z with the linear terms' inputs w = (h, x): (n d x n + d).
  package var crossMoment: Tensor<Double> {
    let (n, d) = (shape.hidden, shape.inputs)
    var elements = [Double](repeating: 0, count: n * d * (n + d))
    for x in 0..<d {
      for i in 0..<n {
        let row = (i * d + x) * (n + d)
        for j in 0..<n { elements[row + j] = states[(x * n + i) * n + j] / Double(max(1, count)) }
        elements[row + n + x] = means[x * n + i] / Double(max(1, count))
      }
    }
    return Tensor(shape: [n * d, n + d], elements: elements)
  }

  /// E[w w^T]: (n + d x n + d).
  package var linearMoment: Tensor<Double> {
    let (n, d) = (shape.hidden, shape.inputs)
    let width = n + d
    var elements = [Double](repeating: 0, count: width * width)
    for x in 0..<d {
      for i in 0..<n {
        for j in 0..<n { elements[i * width + j] += states[(x * n + i) * n + j] / Double(max(1, count)) }
        elements[i * width + n + x] = means[x * n + i] / Double(max(1, count))
        elements[(n + x) * width + i] = elements[i * width + n + x]
      }
      elements[(n + x) * width + n + x] = counts[x] / Double(max(1, count))
    }
    return Tensor(shape: [width, width], elements: elements)
  }

  /// The second moment of the slopes, E[g g^T]: (n x n).
  package var outputMoment: Tensor<Double> {
    let n = shape.hidden
    return Tensor(shape: [n, n], elements: slopes.map { $0 / Double(max(1, count)) })
  }
}

extension Tensor where Scalar == Float {
  fileprivate var gramOfColumns: [Double] { gram(ofColumns: true).converted(to: Double.self).elements }
}

extension RecurrentPass {
  /// Runs a segment and back, and adds what it shows.
  package func observe(_ weights: RecurrentWeights, _ segment: Segment, into moments: inout StateMoments) {
    tape.withLock { tape in
      tape.prepare(segment)
      tape.forward(weights, segment)
      _ = tape.crossEntropy(segment.targets, scale: 1)
      _ = tape.backward(weights, segment)
      moments.add(tape, segment)
    }
  }
}
