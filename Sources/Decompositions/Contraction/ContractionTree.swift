import Basics
import LinearAlgebra
import TensorCore

/// Contractions over subsets of the same operands, sharing what they have in common.
///
/// Operand 0 is the kernel, operand k + 1 factor k. The result for a subset is the product of its members, summed over
/// every label that no operand outside has; so a part of a subset means the same in every contraction, and what is
/// there already costs nothing. For three factors this is the dimension tree that saves a third of the work of CP
/// (Phan, Tichavsky and Cichocki, IEEE Transactions on Signal Processing 61, 2013).
final class ContractionTree<Scalar: BLASScalar> {
  private let operands: [[Int]]
  private let sets: [UInt64]
  private let extents: [Int]
  private var values: [Tensor<Scalar>?]
  /// Results that no operand has changed since.
  private var known: [Int: Tensor<Scalar>] = [:]
  /// The order of a result's labels, that of its first computation.
  private var labels: [Int: [Int]] = [:]
  private var pairs: [Pair: Prepared] = [:]
  private var costs: [Pair: Double] = [:]

  private struct Pair: Hashable {
    let left: Int
    let right: Int
  }

  private struct Prepared {
    var contraction: PairContraction
    /// The kernel in the layout that the contraction reads, where it is an operand.
    var settled: Tensor<Scalar>?
  }

  /// - Parameters:
  ///   - operands: the labels of the kernel's axes and of every factor's.
  ///   - extents: the extent of every label.
  init(_ operands: [[Int]], kernel: Tensor<Scalar>, extents: [Int]) {
    precondition(extents.count <= 64 && operands.count <= 12, "too many labels or operands")
    self.operands = operands
    self.extents = extents
    sets = operands.map { $0.reduce(0 as UInt64) { $0 | 1 << UInt64($1) } }
    values = [kernel] + Array(repeating: nil, count: operands.count - 1)
    for (index, own) in operands.enumerated() { labels[1 << index] = own }
  }

  /// Puts factor k in place; what depended on the old one is forgotten.
  func set(_ factor: Tensor<Scalar>, _ k: Int) {
    let bit = 1 << (k + 1)
    values[k + 1] = factor
    known = known.filter { $0.key & bit == 0 }
  }

  /// The kernel contracted with all factors but k, its axes in the order of factor k's labels.
  func target(_ k: Int) -> Tensor<Scalar> {
    let all = (1 << operands.count) - 1
    let set = all & ~(1 << (k + 1))
    var plan = Plan()
    schedule(set, &plan)
    let result = value(set, plan)
    let own = labels[set].required("a part that is contracted has labels")
    return result.permuted(operands[k + 1].map { own.firstIndex(of: $0).required("no label of a factor is lost") })
  }

  /// For every subset looked at, its least cost and the part that is contracted with the rest.
  private struct Plan {
    var cost: [Int: Double] = [:]
    var part: [Int: Int] = [:]
  }

  private func isLeaf(_ set: Int) -> Bool { set & (set - 1) == 0 }

  private func united(_ set: Int) -> UInt64 {
    sets.indices.reduce(0) { set & (1 << $1) != 0 ? $0 | sets[$1] : $0 }
  }

  /// The labels that somebody outside the subset still needs.
  private func kept(_ set: Int) -> UInt64 {
    united(set) & united(((1 << operands.count) - 1) & ~set)
  }

  @discardableResult
  private func schedule(_ set: Int, _ plan: inout Plan) -> Double {
    if isLeaf(set) || known[set] != nil { return 0 }
    if let cost = plan.cost[set] { return cost }
    var best = Double.infinity
    var part = (set - 1) & set
    while part > 0 {
      let rest = set ^ part
      // The kernel stands left, so that its own labels stay outside of those that a factor brings.
      if set & 1 != 0 ? part & 1 != 0 : part > rest {
        let cost = pairCost(part, rest) + schedule(part, &plan) + schedule(rest, &plan)
        if cost < best { (best, plan.part[set]) = (cost, part) }
      }
      part = (part - 1) & set
    }
    plan.cost[set] = best
    return best
  }

  private func pairCost(_ left: Int, _ right: Int) -> Double {
    let pair = Pair(left: left, right: right)
    if let cost = costs[pair] { return cost }
    let cost = PairContraction.cost(
      kept(left), kept(right), keeping: kept(left | right), extents: extents)
    // The kernel with one factor serves other contractions too, with a product of factors only this one.
    let isShared = left != 1 || isLeaf(right)
    let weighted = isShared ? cost : 1.5 * cost
    costs[pair] = weighted
    return weighted
  }

  private func value(_ set: Int, _ plan: Plan) -> Tensor<Scalar> {
    if isLeaf(set) {
      guard let value = values[set.trailingZeroBitCount] else { preconditionFailure("a factor is missing") }
      return value
    }
    if let value = known[set] { return value }
    let left = plan.part[set].required("a part of several operands has been split")
    let right = set ^ left
    let (a, b) = (value(left, plan), value(right, plan))
    let prepared = prepare(Pair(left: left, right: right))
    let result = prepared.contraction(left == 1 ? prepared.settled ?? a : a, b)
    let own = labels[set] ?? prepared.contraction.resultLabels
    labels[set] = own
    let ordered = result.permuted(
      own.map {
        prepared.contraction.resultLabels.firstIndex(of: $0).required("equal parts have equal labels")
      })
    known[set] = ordered
    return ordered
  }

  private func prepare(_ pair: Pair) -> Prepared {
    if let prepared = pairs[pair] { return prepared }
    var prepared = Prepared(
      contraction: PairContraction(
        labels[pair.left].required("the left part has labels"),
        labels[pair.right].required("the right part has labels"), keeping: kept(pair.left | pair.right),
        extents: extents))
    if let kernel = values[0] {
      if pair.left == 1 { prepared.settled = prepared.contraction.settleLeft(kernel) }
    }
    pairs[pair] = prepared
    return prepared
  }
}
