import Checkpoints
import Testing

@testable import Planning
@testable import Solver

/// Two layers need the same constant of 100 bytes, a third one needs another of 40.
@Suite struct SharedCostsTests {
  private static let first = IntegerVector(.extents, [1, 2, 3])
  private static let second = IntegerVector(.places, [4, 5])
  private static let uses: [[[IntegerVector]]] = [[[], [first]], [[], [first]], [[], [second]]]
  private static let groups: [[KnapsackItem]] = [
    [KnapsackItem(cost: 0, loss: 0), KnapsackItem(cost: 150, loss: 1)],
    [KnapsackItem(cost: 0, loss: 0), KnapsackItem(cost: 130, loss: 2)],
    [KnapsackItem(cost: 0, loss: 0), KnapsackItem(cost: 60, loss: 3)],
  ]
  private static let costs = SharedCosts(uses) { $0 == first ? 100 : 40 }

  private static func sum(_ groups: [[KnapsackItem]], _ picks: [Int]) -> Double {
    var sum = 0.0
    for (items, pick) in zip(groups, picks) { sum += items[pick].costs[0] }
    return sum
  }

  /// What the file of these picks takes: each constant once.
  private static func size(_ picks: [Int]) -> Double {
    sum(groups, picks) - (picks[0] + picks[1] == 2 ? 100 : 0)
  }

  private static var allPicks: [[Int]] {
    (0..<8).map { bits in [bits & 1, bits >> 1 & 1, bits >> 2 & 1] }
  }

  @Test func nothingInCommonCostsNothing() {
    let none: [[[IntegerVector]]] = [[[]], [[]]]
    #expect(SharedCosts(none) { _ in 1 }.isEmpty && !Self.costs.isEmpty)
  }

  /// Split among all that could bear a cost, no plan seems larger than its file: what is proven of the parts holds for files.
  @Test func partsAreNoMoreThanTheWhole() {
    let split = Self.costs.split(Self.groups, among: nil)
    for picks in Self.allPicks {
      let parts = Self.sum(split, picks)
      #expect(parts <= Self.size(picks) + 1e-9, "\(picks)")
    }
    #expect(split.map { $0.map(\.loss) } == Self.groups.map { $0.map(\.loss) })
  }

  /// Split among the layers of one plan, the parts of that plan are its file.
  @Test func partsOfAPlanAreExactForIt() {
    for picks in Self.allPicks {
      let parts = Self.sum(Self.costs.split(Self.groups, among: picks), picks)
      #expect(abs(parts - Self.size(picks)) <= 1e-9, "\(picks): \(parts) and \(Self.size(picks))")
    }
  }
}
