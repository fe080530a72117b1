import ArgumentParser
import Basics
import Checkpoints
import Formats
import Foundation
import Pipeline
import Planning
import TensorCore

struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Choose a structure for every layer so that the network fits a budget.",
    discussion: "Writes model.plan.json beside the checkpoint; an older plan there is replaced.")

  @Argument(help: .checkpoint, completion: .file())
  var checkpoint: String

  @OptionGroup var limits: LimitOptions

  @Option(help: ArgumentHelp("The structures to try, separated by commas: \(StructureList.known).", valueName: "list"))
  var structures: StructureList?

  @Option(help: ArgumentHelp("Leave layers dense whose names match; may be repeated.", valueName: "glob"))
  var keep: [Glob] = []

  @Option(
    help: ArgumentHelp("What is asked of single layers, as JSON (docs/cli.md).", valueName: "file"),
    completion: .file(extensions: ["json"]))
  var recipe: String?

  @Option(help: ArgumentHelp("Ranks above 1 are multiples of this, for kernels that want them.", valueName: "n"))
  var roundTo = 1

  @Flag(help: "Fail where a layer or tensor that could gain is left out for want of support.")
  var strict = false

  @Flag(help: "Show what every size costs; without a budget no plan is written.")
  var frontier = false

  @Option(
    help: ArgumentHelp(
      "Store numbers as f16, bf16 or f32, counted in the budget; the network computes in the type that it did.",
      valueName: "type"))
  var dtype: StoredType?

  @Option(help: "The seed of everything random.")
  var seed: UInt64 = 0

  @Option(name: .shortAndLong, help: ArgumentHelp("Where the plan goes.", valueName: "file"), completion: .file())
  var output: String?

  @OptionGroup var cache: CacheOptions
  @OptionGroup var calibration: CalibrationOptions
  @OptionGroup var companions: CompanionOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard limits.areSome || frontier else {
      throw ValidationError(
        "nothing limits the network: give --budget, --at, --max-loss, --max-macs, --max-ram, --max-latency or --device, or ask for the --frontier"
      )
    }
    guard (1...1024).contains(roundTo) else {
      throw ValidationError("--round-to must be from 1 to 1024, not \(roundTo)")
    }
  }

  func run() throws {
    let path = output ?? CheckpointPath(checkpoint).plan
    if limits.areSome {
      try OutputSet([.init(path, option: "-o")])
        .check(inputs: [(checkpoint, "the checkpoint")] + companions.companions.inputs, overwrite: true)
      try PlanDocument.checkReplaceable(path)
    }
    let planner = try common.terminal.withProgress {
      try Planner(request(), workers: common.workers, progress: $0)
    }
    planner.notices.forEach(common.terminal.notice)
    if strict { try refuseSkipped(planner.skipped) }
    if frontier {
      let points = planner.frontier
      guard limits.areSome else {
        return common.terminal.result(["frontier": .array(points.map(\.json))], FrontierText(points).text)
      }
      if !common.json { print(FrontierText(points).text + "\n") }
    }
    switch try planner.plan() {
    case .plan(let plan):
      try OutputFile.write((plan.json.text(.indented) + "\n").utf8, to: path, overwrite: true)
      common.terminal.result(plan.json, plan.text(path: path))
    case .infeasible(let infeasibility):
      Terminal.error("\(checkpoint): \(infeasibility.sentence)")
      if common.json { print(infeasibility.json.text(.indented)) }
      throw NegativeVerdict()
    }
  }

  private func request() throws -> PlanRequest {
    var recipe = try recipe.map { try Recipe(path: $0) } ?? Recipe()
    if let structures { recipe.structures = structures.names }
    recipe.keep += keep
    var request = PlanRequest(
      checkpoint: checkpoint, budget: limits.values, recipe: recipe, seed: seed, companions: companions.companions,
      dtype: dtype?.type, calibration: calibration.source, rankMultiple: roundTo, cache: cache.folder)
    request.goal = limits.goal
    request.device = try limits.device.map { try DeviceProfile.named($0) }
    return request
  }

  private func refuseSkipped(_ skipped: [(name: String, reason: String)]) throws {
    guard !skipped.isEmpty else { return }
    let list = skipped.map { "'\($0.name)' (\($0.reason))" }.joined(separator: ", ")
    Terminal.error(
      "\(checkpoint): --strict: \(skipped.count) that could gain are left out for want of support: \(list)")
    if common.json {
      print(
        JSON.object([
          "skipped": .array(skipped.map { ["name": .string($0.name), "reason": .string($0.reason)] })
        ]).text(.indented))
    }
    throw NegativeVerdict()
  }
}

/// `f16`
enum StoredType: String, ExpressibleByArgument, CaseIterable {
  case f16, bf16, f32

  var type: DType {
    switch self {
    case .f16: .f16
    case .bf16: .bf16
    case .f32: .f32
    }
  }
}

/// `svd,cp,gkpd`
struct StructureList: ExpressibleByArgument {
  let names: [String]

  static var known: String { PlanRequest.knownStructures.joined(separator: ", ") }

  init?(argument: String) {
    names = argument.split(separator: ",").map(String.init)
    guard !names.isEmpty, names.allSatisfy(PlanRequest.knownStructures.contains) else { return nil }
  }
}
