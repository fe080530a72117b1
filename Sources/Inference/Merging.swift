import LinearAlgebra
import ModelGraph

/// Sums, products and the like of several values, with broadcasting.
struct ArithmeticMerge: FinishingComputation {
  let merge: Merge
  var finish = Finish()

  init(merge: Merge) { self.merge = merge }

  func channelAxis(rank: Int) -> Int { rank - 1 }

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let count = inputs.count
    let aligned = inputs.map { $0.shape.aligned(rank: outputShape.count) }
    var value = inputs.removeFirst()
    value.shape = aligned[0]
    value = value.shape == outputShape ? value : value.stretched(to: outputShape)
    for (index, shape) in zip(inputs.indices, aligned.dropFirst()) {
      let other = Value(shape: shape, elements: inputs[index].elements)
      switch merge {
      case .add, .average: value.combine(with: other) { $0 + $1 }
      case .subtract: value.combine(with: other) { $0 - $1 }
      case .multiply: value.combine(with: other) { $0 * $1 }
      // The comparisons keep a NaN of either side.
      case .maximum: value.combine(with: other) { $1 <= $0 || $0.isNaN ? $0 : $1 }
      case .minimum: value.combine(with: other) { $1 >= $0 || $0.isNaN ? $0 : $1 }
      case .concatenate, .dot: preconditionFailure("\(merge) is no arithmetic")
      }
    }
    if merge == .average {
      let divisor = Float(count)
      var all = value.elements.mutableSpan
      for i in 0..<all.count { all[i] /= divisor }
    }
    try finish.apply(to: &value, axis: outputShape.count - 1)
    return value
  }
}

extension [Int] {
  /// The shape with axes of extent 1 put in after the batch, so that it has `rank` axes (Keras).
  fileprivate func aligned(rank: Int) -> [Int] {
    [self[0]] + Array(repeating: 1, count: rank - count) + dropFirst()
  }
}

/// Values one after the other along an axis.
struct Concatenation: Computation {
  let axis: Int

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let axis = axis.normalizedAxis(rank: outputShape.count)
    let outer = outputShape[..<axis].reduce(1, *)
    let block = outputShape[axis...].reduce(1, *)
    let sources = inputs
    return Value(
      shape: outputShape,
      elements: [Float](count: outer * block) { target in
        var offset = 0
        for source in sources {
          let run = source.shape[axis...].reduce(1, *)
          for index in 0..<outer {
            copyRun(
              source.elements.span, at: index * run, to: &target, at: index * block + offset, count: run)
          }
          offset += run
        }
      })
  }
}

/// The product of two values that contracts one axis of each, sample by sample.
struct DotProduct: Computation {
  let axes: [Int]
  let normalizes: Bool

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let a = contractedLast(inputs[0], axes[0])
    let b = contractedLast(inputs[1], axes[1])
    let (batch, depth) = (a.shape[0], a.shape[a.shape.count - 1])
    var value = Value(zeros: outputShape)
    let rows = a.shape[1..<a.shape.count - 1].reduce(1, *)
    let columns = b.shape[1..<b.shape.count - 1].reduce(1, *)
    for sample in 0..<batch where depth > 0 {
      BLAS.gemm(
        false, true, m: rows, n: columns, k: depth, a: a.elements, aOffset: sample * rows * depth, lda: depth,
        b: b.elements, bOffset: sample * columns * depth, ldb: depth, c: &value.elements,
        cOffset: sample * rows * columns, ldc: max(1, columns))
    }
    return value
  }

  private func contractedLast(_ value: Value, _ axis: Int) -> Value {
    let rank = value.shape.count
    let axis = axis.normalizedAxis(rank: rank)
    var result = value.permuted(value.shape.indices.filter { $0 != axis } + [axis])
    let depth = value.shape[axis]
    guard normalizes, depth > 0 else { return result }
    for start in stride(from: 0, to: result.elements.count, by: depth) {
      var squares: Float = 0
      for i in start..<start + depth { squares += result.elements[i] * result.elements[i] }
      // The smallest square is Keras' guard against a zero vector.
      let scale = 1 / max(squares, 1e-12).squareRoot()
      for i in start..<start + depth { result.elements[i] *= scale }
    }
    return result
  }
}
