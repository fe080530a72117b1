import Basics
import Decompositions
import LinearAlgebra
import TensorCore
import Testing

/// CP, TT, TR and Tucker are SeKron with tied factors: a SeKron whose factors repeat theirs along the ranks that they do not have
/// is the same kernel (papers, section 1).
@Suite struct FamilyTests {
  private static let kernel = [6, 5, 3, 4]
  private static let modes = [[6, 1, 1, 1], [1, 5, 1, 1], [1, 1, 3, 1], [1, 1, 1, 4]]

  /// Factors of a SeKron over the same shapes: factor k of `source` along those of its ranks that `value` picks from the SeKron's.
  ///
  /// - Parameters:
  ///   - ranks: the SeKron's.
  ///   - value: for a factor and the values of the SeKron's ranks, those of the factor's own ranks.
  private func tied(
    _ source: Factorization, ranks: [Int], value: (Int, [Int]) -> [Int]
  ) throws -> Factorization {
    let axes = try #require(SeKron().rankAxes(shapes: source.pattern.shapes))
    let pattern = FactorPattern(shapes: source.pattern.shapes, ranks: ranks, rankAxes: axes)
    let factors = pattern.shapes.indices.map { k -> Tensor<Double> in
      let own = pattern.rankExtents(k)
      let digits = pattern.modeCount(k)
      let flat = source.factors[k].reshaped([digits] + source.pattern.rankExtents(k))
      var elements: [Double] = []
      for digit in 0..<digits {
        for position in 0..<own.reduce(1, *) {
          var rest = position
          let index = own.reversed().map { extent in
            defer { rest /= extent }
            return rest % extent
          }
          elements.append(flat[[digit] + value(k, index.reversed())])
        }
      }
      return Tensor(shape: pattern.factorShape(k), elements: elements)
    }
    return Factorization(pattern, factors: factors)
  }

  private func source(_ structure: String, shapes: [[Int]], ranks: [Int]) throws -> Factorization {
    gaussianFactors(
      try Structures.named(structure).pattern(shapes: shapes, ranks: ranks, kernelShape: Self.kernel), seed: 3)
  }

  private func check(_ sekron: Factorization, is other: Factorization) {
    #expect(sekron.reconstruct().relativeDiscrepancy(from: other.reconstruct()) <= 1e-12)
  }

  @Test func cpIsSeKron() throws {
    let cp = try source("cp", shapes: Self.modes, ranks: [3])
    check(try tied(cp, ranks: [3, 1, 1]) { [$1[0]] }, is: cp)
    #expect(try tied(cp, ranks: [3, 1, 1]) { [$1[0]] }.parameterCount == cp.parameterCount)
  }

  @Test func ttIsSeKron() throws {
    let train = try source("tt", shapes: Self.modes, ranks: [3, 2, 4])
    check(
      try tied(train, ranks: [3, 2, 4]) { k, r in k == 0 ? [r[0]] : k == 3 ? [r[2]] : [r[k - 1], r[k]] }, is: train)
  }

  @Test func trIsSeKron() throws {
    // The first SeKron rank is the pair (closing, opening) of the ring's first factor.
    let ring = try source("tr", shapes: Self.modes, ranks: [2, 3, 2, 2])
    check(
      try tied(ring, ranks: [4, 3, 2]) { k, r in
        let (closing, opening) = (r[0] / 2, r[0] % 2)
        return switch k {
        case 0: [closing, opening]
        case 1: [opening, r[1]]
        case 2: [r[1], r[2]]
        default: [r[2], closing]
        }
      }, is: ring)
  }

  @Test func tuckerIsSeKron() throws {
    // Three projections; the last factor takes the core up with the mode that is left.
    let tucker = try source(
      "tucker", shapes: [[6, 1, 1, 1], [1, 5, 1, 1], [1, 1, 3, 1], [1, 1, 1, 4], [1, 1, 1, 1]], ranks: [3, 2, 2, 3])
    let (last, core) = (tucker.factors[3].reshaped([4, 3]), tucker.factors[4].reshaped([12, 3]))
    let absorbed = last.times(core, otherTransposed: true).reshaped([1, 1, 1, 4, 3, 2, 2])
    let axes = [[0], [1], [2], [0, 1, 2]]
    let equal = Factorization(
      FactorPattern(shapes: Self.modes, ranks: [3, 2, 2], rankAxes: axes),
      factors: Array(tucker.factors[..<3]) + [absorbed])
    check(equal, is: tucker)
    check(try tied(equal, ranks: [3, 2, 2]) { k, r in k == 3 ? r : [r[k]] }, is: tucker)
  }

  /// The sum of all discarded singular values' squares is the error of the recursion, whose bases are orthonormal.
  @Test func recursionIsExactInItsError() throws {
    let kernel = gaussian([8, 6, 3, 3], seed: 5)
    let shapes = [[2, 3, 1, 1], [4, 1, 3, 1], [1, 2, 1, 3]]
    for ranks in [[6, 6], [2, 3], [1, 1], [4, 2]] {
      let pattern = try SeKron().pattern(shapes: shapes, ranks: ranks, kernelShape: kernel.shape)
      let start = try #require(try SeKron().start(kernel, pattern))
      // ||W||^2 = ||What||^2 + ||W - What||^2 holds for an orthogonal projection only.
      let approximation = start.reconstruct()
      let difference = approximation.relativeDiscrepancy(from: kernel)
      let projected = approximation.squaredNorm / kernel.squaredNorm
      #expect(abs(difference * difference + projected - 1) <= 1e-10)
      if ranks == [6, 6] { #expect(difference <= 1e-6) }
    }
  }

  /// A kernel that is SeKron comes back from the recursion with an error; the fit finds it (papers, section 1).
  @Test func fitsFindWhatTheRecursionMisses() throws {
    let pattern = FactorPattern(
      shapes: [[4, 4], [4, 4], [4, 4]], ranks: [2, 2], rankAxes: [[0], [0, 1], [0, 1]])
    let kernel = gaussianFactors(pattern, seed: 1).reconstruct()
    let start = try #require(try SeKron().start(kernel, pattern))
    #expect(start.reconstruct().relativeDiscrepancy(from: kernel) > 0.05)
    let result = AlternatingLeastSquares(sweepLimit: 300).fit(try FitObjective(kernel), from: start)
    #expect(result.factorization.reconstruct().relativeDiscrepancy(from: kernel) <= 2e-3)
  }
}
