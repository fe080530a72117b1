import ArgumentParser
import Basics
import Checkpoints
import Foundation
import Pipeline
import TensorCore

struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Choose a structure for every layer so that the file fits a budget.",
    discussion: "Writes model.plan.json beside the checkpoint; an older plan there is replaced.")

  @Argument(help: .checkpoint, completion: .file())
  var checkpoint: String

  @Option(help: ArgumentHelp("The bytes that the written file may have: 4MB, 4MiB, 500kB, 250000.", valueName: "size"))
  var budget: ByteSize

  @Option(help: ArgumentHelp("The structures to try, separated by commas: \(StructureList.known).", valueName: "list"))
  var structures: StructureList?

  @Option(help: ArgumentHelp("Leave layers dense whose names match; may be repeated.", valueName: "glob"))
  var keep: [Glob] = []

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

  func run() throws {
    let request = PlanRequest(
      checkpoint: checkpoint, budget: budget.bytes, structures: structures?.names ?? [], keep: keep,
      seed: seed, companions: companions.companions, dtype: dtype?.type,
      calibration: calibration.source,
      cache: cache.folder)
    let path = output ?? CheckpointPath(checkpoint).plan
    try OutputSet([.init(path, option: "-o")])
      .check(inputs: [(checkpoint, "the checkpoint")] + companions.companions.inputs, overwrite: true)
    try PlanDocument.checkReplaceable(path)
    let (outcome, notices) = try common.terminal.withProgress {
      try Pipeline.plan(request, workers: common.workers, progress: $0)
    }
    notices.forEach(common.terminal.notice)
    switch outcome {
    case .plan(let plan):
      try OutputFile.write((plan.json.text(.indented) + "\n").utf8, to: path, overwrite: true)
      common.terminal.result(plan.json, plan.text(path: path))
    case .infeasible(let smallest, let heldUpBy):
      Terminal.error(
        "\(checkpoint): no plan fits \(Format.bytes(budget.bytes)): the smallest file that can be reached has "
          + "\(smallest) bytes, \(heldUpBy.isEmpty ? "most of it structure" : "held up by " + heldUpBy.joined(separator: ", ")) (raise --budget to \(smallest) or more)"
      )
      if common.json {
        print(JSON.object(["smallest": .integer(smallest), "held_up_by": .strings(heldUpBy)]).text(.indented))
      }
      throw NegativeVerdict()
    }
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
