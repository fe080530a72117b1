import Foundation
import LinearAlgebra
import TensorCore

/// The higher-order SVD over the two channel modes: W[f, c, s] = sum_pq U[f, p] G[p, q, s] V[c, q] with orthonormal U and V, so
/// that every truncation's error is the norm of the core's discarded part (De Lathauwer et al., 2000).
struct HOSVD {
  /// Row p is the p-th left singular vector of the unfolding by output channels.
  private let output: Tensor<Double>
  /// Row q is the q-th left singular vector of the unfolding by input channels.
  private let input: Tensor<Double>
  /// (out, in, spatial).
  private let core: Tensor<Double>

  init(_ kernel: Tensor<Double>) throws {
    let (f, c) = (kernel.shape[0], kernel.shape[1])
    let s = kernel.shape.dropFirst(2).reduce(1, *)
    let cube = kernel.reshaped([f, c, s])
    func leadingVectors(_ unfolding: Tensor<Double>) throws -> Tensor<Double> {
      try SymmetricEigendecomposition(unfolding.times(unfolding, otherTransposed: true)).vectors
    }
    output = try leadingVectors(cube.reshaped([f, c * s]))
    input = try leadingVectors(cube.permuted([1, 0, 2]).reshaped([c, f * s]))
    let project = Einsum([[0, 1, 2], [3, 0], [4, 1]], to: [3, 4, 2], extents: [f, c, s, f, c])
    core = project([cube, output, input])
  }

  /// The Tucker-2 factors of the pattern's ranks; (out | p), (spatial | p, q), (in | q).
  func truncated(to pattern: FactorPattern) -> Factorization {
    let (p, q) = (pattern.ranks[0], pattern.ranks[1])
    let (f, c, s) = (core.shape[0], core.shape[1], core.shape[2])
    var kept = [Double](repeating: 0, count: p * q * s)
    for i in 0..<min(p, f) {
      for j in 0..<min(q, c) {
        for k in 0..<s { kept[(i * q + j) * s + k] = core.elements[(i * c + j) * s + k] }
      }
    }
    func leading(_ vectors: Tensor<Double>, _ count: Int) -> Tensor<Double> {
      let n = vectors.shape[0]
      let rows = Array(vectors.elements[..<(min(count, n) * n)])
      let padding = [Double](repeating: 0, count: max(0, count - n) * n)
      return Tensor(shape: [count, n], elements: rows + padding).permuted([1, 0])
    }
    let truncatedCore = Tensor(shape: [p, q, s], elements: kept).permuted([2, 0, 1])
    let factors = [leading(output, p), truncatedCore, leading(input, q)]
    return Factorization(
      pattern,
      factors: factors.enumerated().map { $1.reshaped(pattern.factorShape($0)) })
  }

  /// Pairs of ranks (out, in) that save parameters and that no other pair dominates by parameters and truncation error: at
  /// most `limit`, evenly spread on the logarithm of their parameters.
  func promisingRanks(limit: Int) -> [(Int, Int)] {
    let (f, c, s) = (core.shape[0], core.shape[1], core.shape[2])
    // energy[i][j]: what the ranks (i, j) keep.
    var energy = [[Double]](repeating: [Double](repeating: 0, count: c + 1), count: f + 1)
    for i in 0..<f {
      var row = 0.0
      for j in 0..<c {
        for k in 0..<s {
          let element = core.elements[(i * c + j) * s + k]
          row += element * element
        }
        energy[i + 1][j + 1] = energy[i][j + 1] + row
      }
    }
    var pairs: [(count: Int, energy: Double, ranks: (Int, Int))] = []
    for p in Self.thinned(f) {
      for q in Self.thinned(c) {
        let count = f * p + p * q * s + c * q
        if count < f * c * s { pairs.append((count, energy[p][q], (p, q))) }
      }
    }
    pairs.sort { ($0.count, -$0.energy) < ($1.count, -$1.energy) }
    var best = -1.0
    let front = pairs.filter { pair in
      defer { best = max(best, pair.energy) }
      return pair.energy > best
    }
    return front.spread(limit: limit) { Double($0.count) }.map(\.ranks)
  }

  /// All values up to `limit`, or 64 of them.
  private static func thinned(_ limit: Int) -> [Int] {
    limit <= 64 ? Array(stride(from: 1, through: limit, by: 1)) : (1...64).map { $0 * limit / 64 }
  }
}

extension Array {
  /// At most `limit` elements of an array that is sorted by a positive size, spread evenly on its logarithm; the first and
  /// the last stay.
  func spread(limit: Int, by size: (Element) -> Double) -> [Element] {
    guard count > limit, limit > 1, let first, let last else { return self }
    let ratio = size(last) / size(first)
    var result: [Element] = []
    var position = 0
    for step in 0..<limit {
      let goal = size(first) * pow(ratio, Double(step) / Double(limit - 1))
      // The nearest element that is not taken yet.
      var nearest: Int?
      for i in position..<count
      where abs(size(self[i]) - goal) < nearest.map({ abs(size(self[$0]) - goal) }) ?? .infinity {
        nearest = i
      }
      guard let nearest else { break }
      result.append(self[nearest])
      position = nearest + 1
    }
    return result
  }
}
