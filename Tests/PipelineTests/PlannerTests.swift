import Basics
import Checkpoints
import Decompositions
import Formats
import Foundation
import TestSupport
import Testing

@testable import Pipeline

/// Plans keep what they promise, on files as apply writes them.
@Suite struct PlannerTests {
  private func planner(_ path: String, recipe: Recipe = Recipe(structures: ["svd", "cp"])) throws -> Planner {
    try Planner(PlanRequest(checkpoint: path, budget: .init(), recipe: recipe), workers: Workers(count: 2))
  }

  private func plan(_ outcome: PlanOutcome) throws -> PlanDocument {
    guard case .plan(let plan) = outcome else { throw Failure("outcome", "is none", "\(outcome)") }
    return plan
  }

  /// A network of some layers with random shapes, in the safetensors format.
  private func randomModel(_ generator: inout SplitMix64) -> [UInt8] {
    func below(_ limit: Int) -> Int { Int(generator.next() % UInt64(limit)) }
    var header: [(String, JSON)] = []
    var payload: [UInt8] = []
    for layer in 0..<2 + below(5) {
      let shape = below(3) == 0 ? [4 + below(60), 4 + below(60)] : [4 + below(28), 3 + below(28), 3, 3]
      let count = shape.reduce(1, *)
      for (name, shape, count) in [
        ("layer\(layer).weight", shape, count), ("layer\(layer).bias", [shape[0]], shape[0]),
      ] {
        let start = payload.count
        for _ in 0..<count {
          withUnsafeBytes(of: Float(generator.nextUniform() - 0.5)) { payload.append(contentsOf: $0) }
        }
        header.append(
          (name, ["dtype": "F32", "shape": .integers(shape), "data_offsets": .integers([start, payload.count])]))
      }
    }
    var text = Array(JSON.object(JSONObject(header)).text().utf8)
    text += Array(repeating: 32, count: (8 - text.count % 8) % 8)
    return withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text + payload
  }

  @Test func whatIsWrittenFits() throws {
    var generator = SplitMix64(seed: 40)
    var written = 0
    try withTemporaryFolder { folder in
      for number in 0..<20 {
        let path = "\(folder)/model\(number).safetensors"
        try Data(randomModel(&generator)).write(to: URL(fileURLWithPath: path))
        let planner = try planner(path, recipe: Recipe(structures: ["svd"]))
        let size = try Checkpoint.open(path).byteCount
        for _ in 0..<10 {
          let budget = Int(Double(size) * (0.1 + generator.nextUniform()))
          switch try planner.plan(.leastLoss, within: .init(bytes: budget)) {
          case .infeasible(let infeasibility):
            let reachable = try #require(infeasibility.shortfalls.first?.reachable)
            #expect(infeasibility.shortfalls.count == 1 && Int(reachable) > budget)
            // The size that is named can be had.
            let smallest = try plan(planner.plan(.leastLoss, within: .init(bytes: Int(reachable))))
            #expect(smallest.predicted.bytes <= Int(reachable))
          case .plan(let plan):
            try Data(plan.json.text().utf8).write(to: URL(fileURLWithPath: folder + "/plan.json"))
            let result = try apply(
              ApplyRequest(plan: folder + "/plan.json", output: folder + "/out.safetensors", overwrite: true),
              workers: Workers(count: 2))
            #expect(result.bytes <= budget && result.bytes == plan.predicted.bytes)
            #expect(try InputFile.read(folder + "/out.safetensors").count == result.bytes)
            written += 1
          }
        }
      }
    }
    #expect(written > 120)
  }

  @Test func everyLimitIsKept() throws {
    let planner = try planner(TestPath.fixture("digits.h5"))
    let free = try plan(planner.plan(.leastLoss, within: .init(bytes: 1_000_000)))
    #expect(
      free.predicted.loss == 0 && free.predicted.macs == free.original.macs && free.predicted.ram == free.original.ram)
    let macs = try #require(free.original.macs)
    let half = try plan(planner.plan(.leastLoss, within: .init(macs: macs / 2)))
    #expect(try #require(half.predicted.macs) <= macs / 2)
    let both = try plan(planner.plan(.leastLoss, within: .init(bytes: 90_000, macs: macs / 2)))
    #expect(both.predicted.bytes <= 90_000 && (both.predicted.macs ?? .max) <= macs / 2)
    #expect(both.predicted.loss >= half.predicted.loss)
    #expect(both.solver.lowerBound <= both.solver.loss && both.solver.gap <= 0.05)
    for limits in [PlanDocument.Budget(macs: 1000), .init(ram: 100), .init(bytes: 90_000, macs: 1000)] {
      guard case .infeasible(let infeasibility) = try planner.plan(.leastLoss, within: limits) else {
        Issue.record("\(limits) cannot be kept")
        continue
      }
      let shortfall = try #require(infeasibility.shortfalls.first)
      #expect(shortfall.limit == (limits.ram == nil ? .macs : .ram))
      #expect(try #require(shortfall.reachable) > shortfall.allowed)
    }
  }

  @Test func goalsLeadToSizes() throws {
    let planner = try planner(TestPath.fixture("digits.h5"))
    let part = try plan(planner.plan(.part(0.7), within: .init()))
    #expect(part.predicted.bytes <= Int(0.7 * Double(part.original.bytes)))
    let smallest = try plan(planner.plan(.smallest(maximumLoss: part.predicted.loss), within: .init()))
    #expect(smallest.predicted.loss <= part.predicted.loss && smallest.predicted.bytes <= part.predicted.bytes)
    // Whatever is on the frontier can be had.
    let frontier = planner.frontier
    #expect(
      frontier.count > 5 && zip(frontier, frontier.dropFirst()).allSatisfy { $0.bytes < $1.bytes && $0.loss > $1.loss })
    for point in frontier.dropFirst() {
      // The sizes of a frontier are sums of growths.
      let slack = planner.sizes.slack
      let own = try plan(planner.plan(.leastLoss, within: .init(bytes: point.bytes + slack)))
      #expect(own.predicted.loss <= point.loss * (1 + 1e-9))
    }
  }

  @Test func recipesAreKept() throws {
    let text = """
      {"structures": ["svd", "cp"], "layers": [
        {"match": "*", "max_discrepancy": 0.5}, {"match": "*2*", "structures": ["svd"]}, {"match": "hidden", "keep": true}]}
      """
    let recipe = try Recipe(json: JSON(parsing: Array(text.utf8)))
    let planner = try planner(TestPath.fixture("digits.h5"), recipe: recipe)
    guard case .infeasible(let infeasibility) = try planner.plan(.leastLoss, within: .init(bytes: 10_000)) else {
      Issue.record("ten kilobytes are too few")
      return
    }
    let smallest = Int(try #require(infeasibility.shortfalls.first?.reachable))
    let plan = try plan(planner.plan(.leastLoss, within: .init(bytes: smallest)))
    for layer in plan.layers {
      #expect(layer.discrepancy <= 0.5)
      if layer.name.contains("2") { #expect(["svd", "dense"].contains(layer.structure)) }
      if layer.name == "hidden" { #expect(layer.structure == "dense") }
    }
    #expect(plan.options.rules == recipe.rules)
    #expect(try PlanDocument(json: plan.json) == plan)
  }

  @Test(arguments: [
    (#"{"layers": [{"match": "*", "max_ration": 2}]}"#, "max_ration"), (#"{"structures": ["magic"]}"#, "magic"),
    (#"{"layers": [{}]}"#, "match"), (#"{"layers": [{"match": "*", "max_ratio": 0.5}]}"#, "max_ratio"),
    ("[]", "object"),
  ])
  func brokenRecipes(_ text: String, _ word: String) throws {
    let failure = #expect(throws: Failure.self) { try Recipe(json: JSON(parsing: Array(text.utf8))) }
    #expect(failure?.description.contains(word) ?? false)
  }

  @Test func ranksAreMultiples() throws {
    var request = PlanRequest(
      checkpoint: TestPath.fixture("digits.h5"), budget: .init(bytes: 90_000),
      recipe: Recipe(structures: ["cp", "tucker", "tt"]))
    request.rankMultiple = 4
    let plan = try plan(Planner(request, workers: Workers(count: 2)).plan())
    #expect(plan.layers.contains { $0.structure != "dense" })
    #expect(plan.layers.allSatisfy { $0.ranks.allSatisfy { $0 == 1 || $0 % 4 == 0 } })
  }

  /// Among the same candidates no rule of thumb finds a smaller loss, and each keeps the budget.
  @Test(arguments: CommonRule.allCases)
  func noCommonRuleIsBetter(_ rule: CommonRule) throws {
    let planner = try planner(TestPath.fixture("digits.h5"))
    var compared = 0
    for budget in stride(from: 60_000, through: 120_000, by: 10_000) {
      guard let outcome = try planner.outcome(of: rule, bytes: budget) else { continue }
      let plan = try plan(planner.plan(.leastLoss, within: .init(bytes: budget)))
      #expect(outcome.bytes <= budget && plan.predicted.loss <= outcome.loss * (1 + 1e-12))
      compared += 1
    }
    #expect(compared >= 4)
  }

  @Test func everyTensorIsAccountedFor() throws {
    let checkpoint = try Checkpoint.open(TestPath.fixture("digits.h5"))
    let plan = try plan(planner(TestPath.fixture("digits.h5")).plan(.leastLoss, within: .init(bytes: 90_000)))
    let kernels = Set(checkpoint.layers.map(\.kernel.name))
    #expect(Set(plan.kept.map(\.name)).union(kernels) == Set(checkpoint.tensors.map(\.name)))
    #expect(plan.layers.map(\.name) == checkpoint.layers.map(\.name))
    #expect(plan.kept.allSatisfy { !$0.reason.isEmpty })
  }

  @Test func plansAreCompared() throws {
    let planner = try planner(TestPath.fixture("digits.h5"))
    let (large, small) = (
      try plan(planner.plan(.leastLoss, within: .init(bytes: 110_000))),
      try plan(planner.plan(.leastLoss, within: .init(bytes: 80_000)))
    )
    #expect(try PlanDifference(large, large).layers.isEmpty)
    let difference = try PlanDifference(large, small)
    #expect(
      !difference.layers.isEmpty
        && difference.text.contains("bytes: \(large.predicted.bytes) -> \(small.predicted.bytes)"))
    var other = small
    other.sha256 = ""
    #expect(throws: Failure.self) { try PlanDifference(large, other) }
  }
}
