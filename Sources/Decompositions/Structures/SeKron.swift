import Basics
import TensorCore

/// A sequence of Kronecker products (Hameed et al., 2022): factor k depends on the ranks 0...k, the last one on those of the one
/// before. Two factors are GKPD; factors that own whole modes and tie only the first rank are CP.
public struct SeKron: Structure {
  public let name = "sekron"
  public let needsTrials = true
  /// The longest sequence that is offered.
  private static let longest = 4

  /// The structure has no settings.
  public init() {}

  public func rankAxes(shapes: [[Int]]) -> [[Int]]? {
    guard (2...Self.longest).contains(shapes.count) else { return nil }
    return shapes.indices.map { Array(0...min($0, shapes.count - 2)) }
  }

  /// Sequences over whole modes first: every order of the modes, with second ranks of 1 and 2. Then the best sums of two
  /// Kronecker products.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  public func proposals(_ spectra: KernelSpectra, parameters: Int) throws -> [FactorPattern] {
    let shape = spectra.kernel.shape
    var patterns: [FactorPattern] = []
    for groups in ModeGroups.all(shape) where (3...Self.longest).contains(groups.count) {
      for inner in [1, 2] {
        // With inner ranks of 1 the order of the factors changes nothing.
        for order in groups.permutations where inner > 1 || order == groups {
          guard groups.count == 3 || order == groups else { continue }
          let ranks = [16] + Array(repeating: inner, count: groups.count - 2)
          patterns += pattern(ModeGroups.shapes(order, of: shape), ranks: ranks, parameters: parameters)
        }
      }
    }
    return patterns + (try GKPD().proposals(spectra, parameters: parameters).prefix(patterns.isEmpty ? 3 : 1))
  }

  /// CP's patterns, which are SeKron's with inner ranks of 1.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  public func seeds(_ spectra: KernelSpectra, parameters: Int) throws -> [FactorPattern] {
    try CP().proposals(spectra, parameters: parameters).flatMap { cp in
      cp.factorCount > 2
        ? pattern(cp.shapes, ranks: [1] + Array(repeating: 1, count: cp.factorCount - 2), parameters: parameters) : []
    }
  }

  /// The ranks behind the first one up and down, and the forms in which a prime factor of one digit has moved to another factor.
  public func neighbours(of pattern: FactorPattern, parameters: Int) -> [FactorPattern] {
    var result: [FactorPattern] = []
    for rank in pattern.ranks.indices.dropFirst() {
      for step in [1, -1] where pattern.ranks[rank] + step >= 1 {
        var ranks = pattern.ranks
        ranks[rank] += step
        result += self.pattern(pattern.shapes, ranks: ranks, parameters: parameters)
      }
    }
    for (from, source) in pattern.shapes.enumerated() {
      for mode in source.indices {
        for prime in source[mode].primeFactors {
          for to in pattern.shapes.indices where to != from {
            var shapes = pattern.shapes
            shapes[from][mode] /= prime
            shapes[to][mode] *= prime
            guard shapes[from].contains(where: { $0 > 1 }) else { continue }
            result += self.pattern(shapes, ranks: pattern.ranks, parameters: parameters)
          }
        }
      }
    }
    return result
  }

  public func start(_ kernel: Tensor<Double>, _ pattern: FactorPattern) throws -> Factorization? {
    pattern.factorCount == 2
      ? try KroneckerSum.factors(kernel, pattern) : try SeKronRecursion.factors(kernel, pattern)
  }

  /// The pattern with the first rank as large as the parameters allow; none where one is too large.
  private func pattern(_ shapes: [[Int]], ranks: [Int], parameters: Int) -> [FactorPattern] {
    guard let axes = rankAxes(shapes: shapes) else { return [] }
    let form = FactorForm(shapes: shapes, rankAxes: axes)
    let single = FactorPattern(form, ranks: [1] + ranks.dropFirst()).clamped
    // Every factor has the first rank.
    let count = parameters / single.parameterCount
    return count >= 1 ? [FactorPattern(form, ranks: [count] + single.ranks.dropFirst()).clamped] : []
  }
}

extension Int {
  /// The prime factors without repetition, ascending.
  fileprivate var primeFactors: [Int] {
    var rest = self
    var result: [Int] = []
    var divisor = 2
    while divisor * divisor <= rest {
      if rest % divisor == 0 {
        result.append(divisor)
        while rest % divisor == 0 { rest /= divisor }
      }
      divisor += 1
    }
    return rest > 1 ? result + [rest] : result
  }
}
