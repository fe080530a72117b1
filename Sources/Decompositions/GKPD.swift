import ModelGraph
import TensorCore

/// The generalised Kronecker product decomposition (Hameed et al., AAAI 2022): a sum of Kronecker products, with every way to
/// split the kernel's extents into two digits.
public struct GKPD: Structure {
  public let name = "gkpd"
  public let rankAxes = KroneckerSum.rankAxes

  public init() {}

  /// Every pair of divisor shapes that can save parameters, but for the splits that `LowRank` offers; of two that differ only
  /// in the order of the factors, the one with fewer multiply-accumulates.
  public func shapes(for kernelShape: [Int]) -> [[[Int]]] {
    guard kernelShape.count >= 2, kernelShape.allSatisfy({ $0 > 0 }) else { return [] }
    let count = kernelShape.reduce(1, *)
    let lowRank = LowRank().shapes(for: kernelShape)
    func macs(_ shapes: [[Int]]) -> Int {
      KroneckerSum.lowering(of: KroneckerSum.pattern(shapes, rank: 1)).macsPerPosition
    }
    var result: [[[Int]]] = []
    for a in Self.divisorShapes(of: kernelShape) {
      let b = zip(kernelShape, a).map { $0 / $1 }
      let (shapes, swapped) = ([a, b], [b, a])
      let (rows, columns) = (a.reduce(1, *), b.reduce(1, *))
      guard rows > 1, columns > 1, rows + columns < count else { continue }
      guard Self.isAffordable(count: count, side: min(rows, columns)) else { continue }
      if KroneckerSum.isModeSplit(shapes) {
        if lowRank.contains(shapes) || lowRank.contains(swapped) { continue }
        let (own, other) = (macs(shapes), macs(swapped))
        if other < own || other == own && result.contains(swapped) { continue }
      }
      result.append(shapes)
    }
    return result
  }

  public func scores(of kernel: Tensor<Double>, shapes: [[[Int]]]) throws -> [Score] {
    try shapes.flatMap { try KroneckerSum.scores(of: kernel, shapes: $0) }
  }

  public func fit(_ kernel: Tensor<Double>, to pattern: FactorPattern) throws -> Fit {
    try KroneckerSum.fit(kernel, to: pattern)
  }

  public func lowering(of pattern: FactorPattern) -> Lowering { KroneckerSum.lowering(of: pattern) }

  /// Balanced splits of a large kernel are both the dearest to score and the worst: the papers' many small, unbalanced
  /// summands win. So a Gram matrix has at most 512 rows and costs at most 2^28 multiply-accumulates.
  private static func isAffordable(count: Int, side: Int) -> Bool {
    side <= 512 && side <= (1 << 28) / count
  }

  private static func divisorShapes(of shape: [Int]) -> [[Int]] {
    shape.reduce([[]]) { shapes, extent in
      let divisors = (1...extent).filter { extent % $0 == 0 }
      return shapes.flatMap { prefix in divisors.map { prefix + [$0] } }
    }
  }
}
