import Basics
import LinearAlgebra
import TensorCore

/// A sum of products over labelled axes, prepared once and run many times.
///
/// A label that is not in the output is summed over once no operand outside the pair has it, so a label may occur in any
/// number of operands (CP's rank occurs in all). The order of the pairs is the cheapest of all, found by dynamic
/// programming over sets of operands.
struct Einsum {
  private struct Step {
    let left: Int
    let right: Int
    var pair: PairContraction
  }

  private var steps: [Step] = []
  private let operandCount: Int
  private let resultOrder: [Int]
  private var constants: [Int: Tensor<Double>] = [:]

  /// - Parameters:
  ///   - operands: the labels of every operand's axes.
  ///   - output: the labels of the result's axes.
  ///   - extents: the extent of every label.
  /// - Precondition: at most 64 labels and 16 operands; a label outside the output occurs in two operands or more.
  init(_ operands: [[Int]], to output: [Int], extents: [Int]) {
    precondition(extents.count <= 64 && (1...16).contains(operands.count), "einsum is too large")
    operandCount = operands.count
    let path = ContractionPath(operands, to: output, extents: extents)
    var labels = operands
    for (left, right, keep) in path.pairs {
      let pair = PairContraction(labels[left], labels[right], keeping: keep, extents: extents)
      labels.append(pair.resultLabels)
      steps.append(Step(left: left, right: right, pair: pair))
    }
    let last = labels[labels.count - 1]
    precondition(Set(last) == Set(output), "\(operands) cannot give \(output)")
    resultOrder = output.map { last.firstIndex(of: $0).required("the result has every label") }
  }

  /// Fixes an operand for all later calls, in the layout in which the einsum reads it.
  mutating func fix(_ operand: Int, to tensor: Tensor<Double>) {
    for i in steps.indices {
      if steps[i].left == operand { constants[operand] = steps[i].pair.settleLeft(tensor) }
      if steps[i].right == operand { constants[operand] = steps[i].pair.settleRight(tensor) }
    }
  }

  /// - Parameter operands: all operands that are not fixed, in order.
  func callAsFunction(_ operands: [Tensor<Double>]) -> Tensor<Double> {
    var values: [Tensor<Double>] = []
    var next = 0
    for i in 0..<operandCount {
      if let constant = constants[i] {
        values.append(constant)
      } else {
        values.append(operands[next])
        next += 1
      }
    }
    for step in steps { values.append(step.pair(values[step.left], values[step.right])) }
    return values[values.count - 1].permuted(resultOrder)
  }
}

/// The cheapest order in which to contract operands pair by pair.
struct ContractionPath {
  /// Positions of the two operands, results counting on behind the operands, and the labels that the result keeps.
  private(set) var pairs: [(left: Int, right: Int, keep: UInt64)] = []

  init(_ operands: [[Int]], to output: [Int], extents: [Int]) {
    let sets = operands.map { $0.reduce(0 as UInt64) { $0 | 1 << UInt64($1) } }
    let outputSet = output.reduce(0 as UInt64) { $0 | 1 << UInt64($1) }
    let all = (1 << operands.count) - 1
    // The labels of the operands in every subset.
    var united = [UInt64](repeating: 0, count: all + 1)
    for subset in stride(from: 1, through: all, by: 1) {
      united[subset] = united[subset & (subset - 1)] | sets[subset.trailingZeroBitCount]
    }
    func kept(_ subset: Int) -> UInt64 { united[subset] & (outputSet | united[all & ~subset]) }

    var best = [Double](repeating: 0, count: all + 1)
    var split = [Int](repeating: 0, count: all + 1)
    for subset in stride(from: 1, through: all, by: 1) where subset & (subset - 1) != 0 {
      best[subset] = .infinity
      var part = (subset - 1) & subset
      while part > 0 {
        let rest = subset ^ part
        if part > rest {
          let own = PairContraction.cost(kept(part), kept(rest), keeping: kept(subset), extents: extents)
          let cost = best[part] + best[rest] + own
          if cost < best[subset] { (best[subset], split[subset]) = (cost, part) }
        }
        part = (part - 1) & subset
      }
    }

    var next = operands.count
    func emit(_ subset: Int) -> Int {
      guard subset & (subset - 1) != 0 else { return subset.trailingZeroBitCount }
      let left = emit(split[subset])
      let right = emit(subset ^ split[subset])
      pairs.append((left, right, kept(subset)))
      next += 1
      return next - 1
    }
    _ = emit(all)
  }
}
