import ArgumentParser
import Basics
import Decompositions
import Devices
import Foundation
import Planning
import Plans
import Running
import Solver

/// Plans for one network from one sweep: what we choose at several sizes beside what common rules choose among the same candidates, and how long
/// the solver takes under one limit and under three.
struct PlanningCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "planning")

  @Argument var checkpoint: String
  @Option(help: "Times fewer parameters, separated by commas.") var ratios = "2,3,5"
  @Option(help: "Bytes beside the parameters.") var room = 40_000
  @Option var structures = Structures.names.joined(separator: ",")
  @Option var calibration: String?
  @Option var maxSamples: Int?
  @Option var inputScale: Double?
  @Option var inputMean = ""
  @Option var inputStd = ""
  @Option(help: "A device; its latency is the third limit.") var device: String?
  @Option var threads = 2

  func run() throws {
    func numbers(_ text: String) -> [Double] { text.split(separator: ",").compactMap { Double($0) } }
    var request = PlanRequest(
      checkpoint: checkpoint, budget: [:],
      recipe: Recipe(structures: structures.split(separator: ",").map(String.init)),
      calibration: calibration.map {
        CalibrationSource(
          path: $0,
          preparation: SamplePreparation(
            scale: inputScale, mean: numbers(inputMean), standardDeviation: numbers(inputStd), maximumCount: maxSamples)
        )
      }, cache: CacheFolder.standard)
    request.device = try device.map { try DeviceProfile.named($0) }
    let planner = try Planner.prepared(for: request, workers: Workers(count: threads), progress: .silent)
    let rows = try numbers(ratios).map { try row(planner, ratio: $0) }
    print(JSON.object(["checkpoint": .string(checkpoint), "rows": .array(rows)]).text(.indented))
  }

  private func row(_ planner: Planner, ratio: Double) throws -> JSON {
    let parameters = planner.checkpoint.parameterCount
    let budget = Int(Double(parameters * 4) / ratio) + room
    var (one, three): (PlanDocument?, PlanDocument?)
    let oneTime = try seconds { one = try plan(planner, [.bytes: Double(budget)]) }
    // Three limits that all bind: each lies between what the plan for bytes alone needs and what the network needs now.
    var threeTime: Double?
    if let one, let macs = one.predicted.amounts[.macs], let latency = one.predicted.amounts[.latency] {
      let limits: Amounts = [
        .bytes: Double(budget), .macs: (macs * 0.95).rounded(.down), .latency: latency * 0.95,
      ]
      threeTime = try seconds { three = try plan(planner, limits) }
    }
    var row: JSONObject = [
      "ratio": .real(ratio), "budget": .integer(budget), "loss": .optional(one?.solver.loss, JSON.real),
      "bytes": .optional(one?.predicted.bytes, JSON.integer), "gap": .optional(one?.solver.gap, JSON.real),
      "seconds": .real(oneTime), "gap_of_three": .optional(three?.solver.gap, JSON.real),
      "loss_of_three": .optional(three?.solver.loss, JSON.real), "seconds_of_three": .optional(threeTime, JSON.real),
    ]
    for rule in CommonRule.allCases {
      let outcome = try planner.outcome(of: rule, bytes: budget)
      row[rule.rawValue] = .optional(outcome) { ["loss": .real($0.loss), "bytes": .integer($0.bytes)] }
    }
    return .object(row)
  }

  private func plan(_ planner: Planner, _ limits: Amounts) throws -> PlanDocument? {
    if case .plan(let plan) = try planner.plan(.leastLoss, within: limits) { plan } else { nil }
  }
}

/// A random problem as large as a large network's.
struct KnapsackCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "knapsack")

  @Option var layers = 200
  @Option var candidates = 200
  @Option var seed: UInt64 = 1

  func run() throws {
    var generator = SplitMix64(seed: seed)
    let groups = (0..<layers).map { _ -> [KnapsackItem] in
      let size = 2000 + 150_000 * generator.nextUniform()
      let positions = 64.0 * pow(4, (3 * generator.nextUniform()).rounded(.down))
      let weight = generator.nextUniform()
      return (0..<candidates).map { number in
        guard number > 0 else { return KnapsackItem(costs: .zero, loss: 0) }
        let kept = Double(number) / Double(candidates)
        let work = kept * (0.7 + generator.nextUniform())
        return KnapsackItem(
          costs: [
            (size * (kept - 1)).rounded(), (size * positions * (work - 1)).rounded(),
            size * positions * 1e-9 * (work * (0.6 + generator.nextUniform()) - 1), 0,
          ], loss: weight * (1 - kept) * (1 - kept) * (1 + 0.2 * generator.nextUniform()))
      }
    }
    let least = groups.reduce(CostVector.zero) { sum, items in
      sum + items.dropFirst().reduce(items[0].costs) { pointwiseMin($0, $1.costs) }
    }
    var solution: Knapsack.Solution?
    let time = seconds { solution = Knapsack(groups: groups, limits: least * CostVector(0.7, 0.6, 0.55, 0)).solve() }
    print(
      JSON.object([
        "seconds": .real(time), "loss": .optional(solution?.loss, JSON.real),
        "gap": .optional(solution) { .real(($0.loss - $0.lowerBound) / $0.loss) },
      ]).text(.compact))
  }
}
