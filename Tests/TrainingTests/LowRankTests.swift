import Basics
import TensorCore
import Testing
import Training

@Suite struct LowRankTests {
  private func weight(_ shape: [Int], seed: UInt64 = 1) -> Tensor<Float> {
    var generator = SplitMix64(seed: seed)
    return Tensor(gaussian: shape, using: &generator)
  }

  @Test(arguments: Draw.allCases, [[6, 4, 3, 3], [5, 12], [12, 5], [4, 4]])
  func whatIsSplitMergesToTheSame(_ draw: Draw, _ shape: [Int]) throws {
    let weight = weight(shape)
    var generator = SplitMix64(seed: 2)
    for rank in [1, 3, 4] {
      let (frozen, factors) = try LowRankFactors.split(weight, rank: rank, draw, using: &generator)
      #expect(factors.rank == rank && frozen.shape == shape)
      let merged = factors.merged(into: frozen)
      // Rounding of the frozen part, of R products and of their sum.
      let size = (frozen.elements + weight.elements).map(abs).max() ?? 0
      let products = factors.a.elements.map(abs).max() ?? 0
      let tolerance = 0x1p-23 * (size + Float(rank) * products)
      #expect(zip(merged.elements, weight.elements).allSatisfy { abs($0 - $1) <= tolerance })
    }
  }

  /// The directions are singular ones: what is left has no part in them.
  @Test func topTakesMostAndBottomLeast() throws {
    let weight = weight([8, 20])
    var generator = SplitMix64(seed: 3)
    let parts = try Draw.allCases.map { draw in
      (draw, try LowRankFactors.split(weight, rank: 3, draw, using: &generator).factors.a.norm)
    }
    let sizes = Dictionary(uniqueKeysWithValues: parts)
    for draw in Draw.allCases {
      #expect((sizes[draw] ?? .nan) <= (sizes[.top] ?? .nan) && (sizes[draw] ?? .nan) >= (sizes[.bottom] ?? .nan))
    }
  }

  @Test func drawsDiffer() throws {
    let weight = weight([10, 10])
    for draw in [Draw.subset, .window] {
      var generator = SplitMix64(seed: 4)
      let sizes = try (0..<20).map { _ in
        try LowRankFactors.split(weight, rank: 2, draw, using: &generator).factors.a.norm
      }
      #expect(Set(sizes).count > 3)
    }
  }

  /// The published code's window ends before the last direction.
  @Test func windowsNeverHoldTheLastDirection() throws {
    let diagonal = Tensor<Float>(shape: [4, 4], elements: (0..<16).map { $0 % 5 == 0 ? Float(4 - $0 / 5) : 0 })
    var generator = SplitMix64(seed: 5)
    for _ in 0..<30 {
      let factors = try LowRankFactors.split(diagonal, rank: 2, .window, using: &generator).factors
      #expect(factors.b.elements.enumerated().allSatisfy { $0 % 4 != 3 || abs($1) <= 1e-6 })
    }
  }

  @Test func beginsWithNothing() {
    var generator = SplitMix64(seed: 6)
    let weight = weight([6, 2, 3, 3])
    let factors = LowRankFactors(zeroFor: weight.shape, rank: 2, using: &generator)
    #expect(factors.a.shape == [6, 2] && factors.b.shape == [2, 18] && factors.b.norm > 0)
    #expect(factors.merged(into: weight) == weight)
    #expect(factors.parameterCount == 12 + 36)
  }

  /// The gradients are those of <G, A B>, which is linear in each.
  @Test func gradientsAreTheDerivatives() {
    var generator = SplitMix64(seed: 7)
    let factors = LowRankFactors(
      a: Tensor(gaussian: [5, 2], using: &generator), b: Tensor(gaussian: [2, 6], using: &generator))
    let gradient = Tensor<Float>(gaussian: [5, 6], using: &generator)
    let (a, b) = factors.gradients(gradient)
    let value = factors.merged(into: Tensor(zeros: [5, 6])).multiplied(by: gradient).elements.reduce(0, +)
    for (part, own) in [(a, factors.a), (b, factors.b)] {
      #expect(part.shape == own.shape)
      #expect(abs(part.multiplied(by: own).elements.reduce(0, +) - value) <= 1e-4 * max(1, abs(value)))
    }
  }

  @Test func noNumbersAreRefused() {
    var generator = SplitMix64(seed: 8)
    let weight = Tensor<Float>(shape: [2, 2], elements: [1, .nan, 0, 1])
    #expect(throws: Failure.self) { try LowRankFactors.split(weight, rank: 1, .top, using: &generator) }
  }
}
