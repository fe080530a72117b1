import Basics
import Testing

@testable import Solver

@Suite struct FrontierTests {
  private func groups(seed: UInt64) -> [[KnapsackItem]] {
    var generator = SplitMix64(seed: seed)
    return (0..<4).map { _ in
      (0..<5).map { _ in
        KnapsackItem(cost: Int(generator.nextUniform() * 100) - 50, loss: generator.nextUniform())
      }
    }
  }

  /// No choice of items that costs as much or less loses less, and the points are on a convex line.
  @Test(arguments: 0..<20)
  func noChoiceIsBelow(seed: UInt64) {
    let groups = groups(seed: seed)
    let points = Frontier(groups: groups).points
    var choices: [(cost: Int, loss: Double)] = [(0, 0)]
    for group in groups {
      choices = choices.flatMap { choice in group.map { (choice.cost + Int($0.costs[0]), choice.loss + $0.loss) } }
    }
    #expect(points.first?.cost == choices.map { Double($0.cost) }.min())
    for point in points {
      let best = choices.filter { Double($0.cost) <= point.cost }.map(\.loss).min() ?? .nan
      #expect(abs(best - point.loss) <= 1e-12)
    }
    #expect(abs((points.last?.loss ?? .nan) - groups.reduce(0) { $0 + ($1.map(\.loss).min() ?? 0) }) <= 1e-12)
    let slopes = zip(points, points.dropFirst()).map { ($0.loss - $1.loss) / ($1.cost - $0.cost) }
    #expect(slopes.allSatisfy { $0 > 0 } && zip(slopes, slopes.dropFirst()).allSatisfy { $0 >= $1 - 1e-12 })
  }

  @Test func thinningKeepsTheEnds() {
    let frontier = Frontier(groups: (0..<10).flatMap { groups(seed: $0) })
    let few = frontier.thinned(to: 12)
    #expect(few.count <= 14 && few.first?.costs == frontier.points.first?.costs)
    #expect(few.last?.costs == frontier.points.last?.costs)
    #expect(zip(few, few.dropFirst()).allSatisfy { $0.loss > $1.loss && $0.cost < $1.cost })
    #expect(Frontier(groups: [[KnapsackItem(cost: 1, loss: .nan)]]).points.isEmpty)
  }
}
