import Basics
import Running
import Solver
import Testing

@testable import Planning

@Suite struct SelectionTests {
  /// A file whose size is nearly, but not exactly, the sum of its parts.
  private struct File {
    let groups: [[KnapsackItem]]
    let dense: Int
    let deviations: [[Int]]

    init(_ generator: inout SplitMix64) {
      func below(_ limit: Int) -> Int { Int(generator.next() % UInt64(limit)) }
      groups = (0..<4).map { _ in
        [KnapsackItem(cost: 0, loss: 0)]
          + (0..<4).map { _ in KnapsackItem(cost: -below(3000), loss: generator.nextUniform()) }
      }
      deviations = groups.map { $0.map { _ in below(9) - 4 } }
      dense = 50_000
    }

    func size(_ picks: [Int]) -> Int {
      var size = dense
      for (group, pick) in picks.enumerated() { size += Int(groups[group][pick].costs[0]) + deviations[group][pick] }
      return size
    }

    func loss(_ picks: [Int]) -> Double { picks.enumerated().reduce(0) { $0 + groups[$1.offset][$1.element].loss } }

    var allPicks: [[Int]] {
      groups.reduce([[]]) { prefixes, group in prefixes.flatMap { prefix in group.indices.map { prefix + [$0] } } }
    }
  }

  @Test func theFileFitsAndTheBoundHolds() throws {
    var generator = SplitMix64(seed: 30)
    var optimal = 0
    for _ in 0..<200 {
      let file = File(&generator)
      let budget = 50_000 - Int(generator.next() % 9000)
      let fitting = file.allPicks.filter { file.size($0) <= budget }
      let selection = try BudgetedSelection(
        groups: file.groups, limits: [Double(budget - file.dense), .infinity, .infinity, 0], slack: 16
      ) { file.size($0) - file.dense }
      if let selection {
        let (picks, solver) = (selection.picks, selection.solver)
        let best = try #require(fitting.map(file.loss).min())
        #expect(file.dense + selection.growth == file.size(picks) && file.size(picks) <= budget)
        #expect(abs(solver.loss - file.loss(picks)) < 1e-12)
        #expect(solver.lowerBound <= best + 1e-12 && best <= solver.loss + 1e-12)
        if solver.optimal {
          #expect(abs(solver.loss - best) < 1e-12)
          #expect(solver.gap == 0)
          optimal += 1
        } else {
          #expect(abs(solver.gap - (solver.loss - solver.lowerBound) / solver.loss) < 1e-12)
        }
      } else {
        #expect(fitting.isEmpty)
      }
    }
    #expect(optimal > 20)
  }

  @Test func nothingIsChosenBeyondTheBudget() throws {
    let groups = [[KnapsackItem(cost: 0, loss: 0), KnapsackItem(cost: -100, loss: 1)]]
    func selection(_ limit: Double) throws -> BudgetedSelection? {
      try BudgetedSelection(groups: groups, limits: [limit, .infinity, .infinity, 0], slack: 16) {
        Int(groups[0][$0[0]].costs[0])
      }
    }
    #expect(try selection(-101) == nil)
    #expect(try selection(-100)?.picks == [1])
    #expect(try selection(-1)?.picks == [1])
    #expect(try selection(0)?.picks == [0])
    #expect(try selection(.infinity)?.picks == [0])
  }
}

@Suite struct GlobTests {
  @Test(arguments: [
    ("*", "", true), ("*", "conv1", true), ("conv?", "conv1", true), ("conv?", "conv", false),
    ("conv*", "layer.conv1", false), ("*conv*", "layer.conv1", true), ("layer*.conv1", "layer3.0.conv1", true),
    ("a*b*c", "aXbYbZc", true), ("a*b*c", "aXbYbZ", false), ("", "", true), ("", "a", false), ("**", "ab", true),
    ("[a]", "[a]", true), ("a.b", "axb", false),
  ])
  func matches(pattern: String, name: String, expected: Bool) {
    #expect(Glob(pattern).matches(name) == expected)
  }
}

@Suite struct WorkersTests {
  @Test(arguments: [1, 2, 5])
  func keepTheOrder(count: Int) throws {
    #expect(try Workers(count: count).map(Array(0..<100)) { $0 * $0 } == (0..<100).map { $0 * $0 })
    #expect(try Workers(count: count).map([Int]()) { $0 } == [])
  }

  @Test(arguments: [1, 4])
  func throwTheFirstFailure(count: Int) {
    let failure = #expect(throws: Failure.self) {
      try Workers(count: count).map(Array(0..<50)) { item in
        if item >= 7 { throw Failure("item \(item)", "fails", "it is told to") }
      }
    }
    #expect(failure?.subject == "item 7")
  }
}
