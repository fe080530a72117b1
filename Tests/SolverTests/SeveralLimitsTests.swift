import Basics
import Testing

@testable import Planning
@testable import Solver

@Suite struct SeveralLimitsTests {
  private func below(_ limit: Int, _ generator: inout SplitMix64) -> Int { Int(generator.next() % UInt64(limit)) }

  private func exhaustive(_ groups: [[KnapsackItem]], _ limits: CostVector) -> Double? {
    var best: Double?
    func search(_ group: Int, _ costs: CostVector, _ loss: Double) {
      guard group < groups.count else {
        if costs.fits(limits), loss < best ?? .infinity { best = loss }
        return
      }
      for item in groups[group] { search(group + 1, costs + item.costs, loss + item.loss) }
    }
    search(0, .zero, 0)
    return best
  }

  /// Costs that agree with each other or not, losses that follow them or not, whole numbers and real ones, tight and loose limits.
  private func instance(_ generator: inout SplitMix64, limitCount: Int) -> (
    groups: [[KnapsackItem]], limits: CostVector
  ) {
    let kind = below(3, &generator)
    let groups = (0..<1 + below(6, &generator)).map { _ in
      (0..<1 + below(6, &generator)).map { _ -> KnapsackItem in
        let size = generator.nextUniform()
        var costs = CostVector.zero
        for axis in 0..<limitCount {
          costs[axis] =
            switch kind {
            case 0: Double(below(20, &generator)) - 10
            case 1: (1000 * (size + 0.3 * generator.nextUniform())).rounded()
            default: 1e-3 * generator.nextUniform()
            }
        }
        let loss = below(2, &generator) == 0 ? (1 - size) * (1 - size) : generator.nextUniform()
        return KnapsackItem(costs: costs, loss: loss)
      }
    }
    var limits = CostVector.zero
    for axis in 0..<limitCount {
      let least = groups.reduce(0) { $0 + ($1.map { $0.costs[axis] }.min() ?? 0) }
      let most = groups.reduce(0) { $0 + ($1.map { $0.costs[axis] }.max() ?? 0) }
      limits[axis] = least + (most - least) * (0.02 + 0.9 * generator.nextUniform())
    }
    return (groups, limits)
  }

  @Test func equalsExhaustiveSearch() {
    var generator = SplitMix64(seed: 30)
    var feasible = Array(repeating: 0, count: 5)
    for number in 0..<600 {
      let limitCount = 1 + number % 4
      let (groups, limits) = instance(&generator, limitCount: limitCount)
      let solution = Knapsack(groups: groups, limits: limits).solve()
      guard let expected = exhaustive(groups, limits) else {
        #expect(solution == nil, "instance \(number)")
        continue
      }
      feasible[limitCount] += 1
      guard let solution else {
        Issue.record("instance \(number) with \(limitCount) limits has a solution")
        continue
      }
      let items = zip(groups, solution.choices).map { $0[$1] }
      let costs = items.reduce(CostVector.zero) { $0 + $1.costs }
      // Sums of at most six costs, taken in two orders.
      for axis in 0..<4 { #expect(costs[axis] <= limits[axis] + 12 * limits[axis].magnitude.ulp, "instance \(number)") }
      #expect(abs(items.reduce(0) { $0 + $1.loss } - solution.loss) <= 12 * solution.loss.ulp)
      #expect(abs(solution.loss - expected) <= 12 * expected.ulp, "instance \(number) with \(limitCount) limits")
      #expect(solution.isOptimal && solution.lowerBound <= solution.loss, "instance \(number)")
    }
    #expect(feasible[1...].allSatisfy { $0 > 80 })
  }

  /// Layers whose bytes, operations and time are alike but not the same, as structures have them.
  private func network(layers: Int, candidates: Int, _ generator: inout SplitMix64) -> [[KnapsackItem]] {
    (0..<layers).map { _ in
      let size = Double(2000 + below(150_000, &generator))
      let positions = [64.0, 256, 1024][below(3, &generator)]
      let weight = generator.nextUniform()
      return (0..<candidates).map { number in
        guard number > 0 else { return KnapsackItem(costs: .zero, loss: 0) }
        let kept = Double(number) / Double(candidates)
        let work = kept * (0.7 + generator.nextUniform())
        let costs = CostVector(
          (size * (kept - 1)).rounded(), (size * positions * (work - 1)).rounded(),
          size * positions * 1e-9 * (work * (0.6 + generator.nextUniform()) - 1), 0)
        return KnapsackItem(costs: costs, loss: weight * (1 - kept) * (1 - kept) * (1 + 0.2 * generator.nextUniform()))
      }
    }
  }

  @Test func boundsNetworksUnderThreeLimits() throws {
    var generator = SplitMix64(seed: 31)
    for (layers, candidates) in [(57, 120), (200, 200)] {
      let groups = network(layers: layers, candidates: candidates, &generator)
      let least = groups.reduce(CostVector.zero) { sum, group in
        sum + group.reduce(.zero) { pointwiseMin($0, $1.costs) }
      }
      let solution = try #require(Knapsack(groups: groups, limits: least * CostVector(0.7, 0.6, 0.55, 0)).solve())
      let costs = zip(groups, solution.choices).reduce(CostVector.zero) { $0 + $1.0[$1.1].costs }
      #expect(costs.fits(least * CostVector(0.7, 0.6, 0.55, 0)))
      #expect(solution.loss - solution.lowerBound <= 0.01 * solution.loss)
    }
  }

  @Test func knowsWhichLimitsCannotBeKeptTogether() {
    // Each limit by itself can be kept, both together cannot.
    let group = [KnapsackItem(costs: [1, 3, 0, 0], loss: 1), KnapsackItem(costs: [3, 1, 0, 0], loss: 2)]
    #expect(Knapsack(groups: [group, group], limits: [3, 3, 0, 0]).solve() == nil)
    #expect(Knapsack(groups: [group, group], limits: [4, 4, 0, 0]).solve()?.loss == 3)
    #expect(Knapsack(groups: [group], limits: [3, .nan, 0, 0]).solve() == nil)
  }
}
