import Foundation
import ModelGraph
import TensorCore

/// A reduction over some axes. The operands are the data and the axes.
struct ReductionComputation: Computation {
  let kind: Reduction
  let ignoresMissingAxes: Bool

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let rank = inputs[0].shape.count
    var axes = inputs.count > 1 ? inputs[1].elements.map { Int($0).normalizedAxis(rank: rank) } : []
    if axes.isEmpty {
      if ignoresMissingAxes { return inputs[0] }
      axes = Array(0..<rank)
    }
    let kept = (0..<rank).filter { !axes.contains($0) }
    let turned = inputs[0].permuted(kept + axes.sorted())
    let rows = outputShape.reduce(1, *)
    let count = rows > 0 ? turned.elements.count / rows : 0
    return Value(
      shape: outputShape,
      elements: (0..<rows).map { row in reduce(turned.elements[row * count..<(row + 1) * count]) })
  }

  /// Accumulates in double precision.
  private func reduce(_ values: ArraySlice<Float>) -> Float {
    func sum(_ term: (Double) -> Double) -> Double { values.reduce(0) { $0 + term(Double($1)) } }
    switch kind {
    case .sum: return Float(sum { $0 })
    case .mean: return Float(sum { $0 } / Double(values.count))
    case .product: return Float(values.reduce(1.0) { $0 * Double($1) })
    case .sumOfSquares: return Float(sum { $0 * $0 })
    case .l1: return Float(sum { abs($0) })
    case .l2: return Float(sum { $0 * $0 }.squareRoot())
    case .logOfSum: return Float(log(sum { $0 }))
    case .logOfSumOfExponentials:
      let largest = Double(values.max() ?? 0)
      guard largest.isFinite else { return Float(largest) }
      return Float(largest + log(sum { exp($0 - largest) }))
    case .maximum: return values.reduce(-.infinity) { $1 > $0 || $1.isNaN ? $1 : $0 }
    case .minimum: return values.reduce(.infinity) { $1 < $0 || $1.isNaN ? $1 : $0 }
    }
  }
}

/// The first place of the largest or smallest element along an axis.
struct ExtremumPlace: Computation {
  let axis: Int
  let largest: Bool

  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value {
    let rank = inputs[0].shape.count
    let axis = axis.normalizedAxis(rank: rank)
    let turned = inputs[0].permuted((0..<rank).filter { $0 != axis } + [axis])
    let count = inputs[0].shape[axis]
    return Value(
      shape: outputShape,
      elements: (0..<outputShape.reduce(1, *)).map { row in
        var best = row * count
        for i in row * count..<(row + 1) * count {
          let (x, y) = (turned.elements[i], turned.elements[best])
          if largest ? x > y : x < y { best = i }
        }
        return Float(best - row * count)
      })
  }
}
