import Basics
import Testing

@testable import Planning
@testable import Solver

extension SplitMix64 {
  fileprivate mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
  fileprivate mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
}

@Suite struct KnapsackTests {
  private func exhaustive(_ groups: [[KnapsackItem]], _ capacity: Int) -> Double? {
    var best: Double?
    func search(_ group: Int, _ cost: Int, _ loss: Double) {
      guard group < groups.count else {
        if cost <= capacity, loss < best ?? .infinity { best = loss }
        return
      }
      for item in groups[group] { search(group + 1, cost + Int(item.costs[0]), loss + item.loss) }
    }
    search(0, 0, 0)
    return best
  }

  /// Instances of many kinds: few or many distinct costs, ties, zeros, convex and arbitrary curves, shrinking files.
  private func instance(_ generator: inout SplitMix64) -> (groups: [[KnapsackItem]], capacity: Int) {
    let kind = generator.below(4)
    let costs = [3, 20, 1000, 100_000][generator.below(4)]
    let groups = (0..<1 + generator.below(6)).map { _ in
      (0..<1 + generator.below(6)).map { _ -> KnapsackItem in
        let cost = generator.below(2 * costs + 1) - costs
        let loss =
          switch kind {
          case 0: Double(generator.below(4))
          case 1: generator.unit() / Double(1 + cost + costs)
          case 2: Double(costs - cost) + generator.unit() * 0.01
          default: generator.unit()
          }
        return KnapsackItem(cost: cost, loss: loss)
      }
    }
    let (least, most) = groups.reduce((0, 0)) { sums, group in
      let costs = group.map { Int($0.costs[0]) }
      return (sums.0 + (costs.min() ?? 0), sums.1 + (costs.max() ?? 0))
    }
    return (groups, least - 1 + generator.below(most - least + 3))
  }

  @Test func equalsExhaustiveSearch() {
    var generator = SplitMix64(seed: 20)
    var feasible = 0
    for number in 0..<800 {
      let (groups, capacity) = instance(&generator)
      let solution = Knapsack(groups: groups, capacity: capacity).solve()
      guard let expected = exhaustive(groups, capacity) else {
        #expect(solution == nil, "instance \(number)")
        continue
      }
      feasible += 1
      guard let solution else {
        Issue.record("instance \(number) has a solution")
        continue
      }
      let items = zip(groups, solution.choices).map { $0[$1] }
      #expect(items.reduce(0) { $0 + $1.costs[0] } == Double(solution.cost) && solution.cost <= capacity)
      #expect(items.reduce(0) { $0 + $1.loss } == solution.loss)
      // Six summands in two orders.
      #expect(abs(solution.loss - expected) <= 12 * expected.ulp, "instance \(number)")
      #expect(solution.isOptimal && solution.lowerBound == solution.loss, "instance \(number)")
    }
    #expect(feasible > 600)
  }

  /// As many layers and candidates as real networks have: loss falls with bytes, roughly as singular values do.
  private func network(layers: Int, candidates: Int, _ generator: inout SplitMix64) -> [[KnapsackItem]] {
    (0..<layers).map { _ in
      let size = 2000 + generator.below(150_000)
      let decay = 1 + 6 * generator.unit()
      return [KnapsackItem(cost: 0, loss: 0)]
        + (1..<candidates).map { number in
          let kept = Double(number) / Double(candidates) + 0.002 * generator.unit()
          return KnapsackItem(
            cost: Int(Double(size) * (kept - 1)) - generator.below(4) * 4,
            loss: (1 + 0.1 * generator.unit()) * max(0, 1 - kept) * (1 / (1 + decay * kept * kept)))
        }
    }
  }

  @Test func provesNetworksOptimal() {
    var generator = SplitMix64(seed: 21)
    for _ in 0..<12 {
      let groups = network(layers: 57, candidates: 120, &generator)
      let least = groups.reduce(0) { $0 + ($1.map { Int($0.costs[0]) }.min() ?? 0) }
      var previous = Double.infinity
      for share in [0.9, 0.5, 0.1] {
        guard let solution = Knapsack(groups: groups, capacity: Int(Double(least) * share)).solve() else {
          Issue.record("the instance has a solution")
          continue
        }
        #expect(solution.isOptimal)
        #expect(solution.lowerBound <= solution.loss)
        // More room never makes it worse.
        #expect(solution.loss <= previous)
        previous = solution.loss
      }
    }
  }

  /// Losses that mirror costs leave the relaxation nothing to prune with.
  @Test func boundsWhatItCannotProve() throws {
    var generator = SplitMix64(seed: 22)
    let groups = (0..<60).map { _ in
      (0..<60).map { _ -> KnapsackItem in
        let cost = 2 * generator.below(1_000_000_000)
        return KnapsackItem(cost: cost, loss: 3e9 - Double(cost))
      }
    }
    let capacity = groups.reduce(0) { $0 + Int($1[0].costs[0]) } | 1
    let solution = try #require(Knapsack(groups: groups, capacity: capacity).solve())
    #expect(solution.cost <= capacity)
    // All costs are even and the capacity is odd, so nothing costs more than capacity - 1.
    let floor = 60 * 3e9 - Double(capacity - 1)
    #expect(solution.lowerBound <= floor + 60 * 3e9 * 0x1p-50 || solution.isOptimal)
    #expect(solution.loss >= floor * (1 - 0x1p-50))
    #expect(solution.loss - solution.lowerBound < 1e-4 * solution.loss)
  }

  @Test func knowsWhatCannotBe() {
    let item = KnapsackItem(cost: 5, loss: 1)
    #expect(Knapsack(groups: [[item], [item]], capacity: 9).solve() == nil)
    #expect(Knapsack(groups: [[item], [item]], capacity: 10).solve()?.loss == 2)
    #expect(Knapsack(groups: [], capacity: 0).solve()?.choices == [])
    #expect(Knapsack(groups: [], capacity: -1).solve() == nil)
    #expect(Knapsack(groups: [[]], capacity: 5).solve() == nil)
  }

  @Test func neverChoosesNaN() {
    let groups = [[KnapsackItem(cost: 0, loss: .nan), KnapsackItem(cost: 1, loss: 0.5)]]
    #expect(Knapsack(groups: groups, capacity: 1).solve()?.choices == [1])
    #expect(Knapsack(groups: groups, capacity: 0).solve() == nil)
  }

  @Test func prefersTheCheaperOfEqualLosses() {
    let groups = [[KnapsackItem(cost: 9, loss: 1), KnapsackItem(cost: 2, loss: 1), KnapsackItem(cost: 2, loss: 1)]]
    #expect(Knapsack(groups: groups, capacity: 10).solve()?.choices == [1])
  }
}
