import ArgumentParser
import Basics
import Checkpoints
import Decompositions
import Devices
import Foundation
import Planning
import Plans
import Reports
import TensorCore

struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Choose a structure for every layer so that the network fits a budget.",
    discussion: "Writes model.plan.json beside the checkpoint; an older plan of the same checkpoint is replaced.")

  @Argument(help: .checkpoint, completion: .file())
  var checkpoint: String

  @OptionGroup var limits: LimitOptions

  @Option(
    help: ArgumentHelp(
      "The structures to try, separated by commas: \(StructureList.known); or none, for --bits alone.",
      valueName: "list"))
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

  @Option(
    help: ArgumentHelp(
      "Widths in bits that weights may be stored in, with a scale for each output channel: auto for all from 2 to 8, or a list such as 4,6,8.",
      valueName: "auto|list"))
  var bits: BitWidths?

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
    if let structures, structures.names.isEmpty, bits == nil {
      throw ValidationError("--structures none leaves nothing to choose: give --bits too")
    }
    let multiples = PlanDocument.Options.rankMultiples
    guard multiples.contains(roundTo) else {
      throw ValidationError(
        "--round-to must be from \(multiples.lowerBound) to \(multiples.upperBound), not \(roundTo)")
    }
  }

  func run() throws {
    let result = try common.run(try request())
    if frontier, !common.json, case .plan = result.outcome {
      try Terminal.write(FrontierText(result.frontier).text + "\n\n")
    }
    if let refusal = result.refusal { Terminal.error(refusal) }
    switch result.outcome {
    case .plan(let plan, let path): try common.show(result.json, plan.text(path: path), notices: result.notices)
    case .frontierOnly:
      try common.show(result.json, FrontierText(result.frontier).text, notices: result.notices)
    case .infeasible, .refused:
      result.notices.forEach(common.terminal.notice)
      if common.json { try Terminal.write(result.json.text(.indented) + "\n") }
    }
    if !result.isPositive { throw NegativeVerdict() }
  }

  private func request() throws -> PlanRequest {
    var recipe = try recipe.map { try Recipe(path: $0) } ?? Recipe()
    if let structures { recipe.structures = structures.names }
    recipe.keep += keep
    var request = PlanRequest(
      checkpoint: checkpoint, budget: limits.amounts, recipe: recipe, seed: seed, companions: companions.companions,
      dtype: dtype?.type, calibration: calibration.source, rankMultiple: roundTo, cache: cache.folder,
      output: limits.areSome ? output ?? CheckpointPath(checkpoint).plan : nil)
    request.isStrict = strict
    request.bits = bits?.widths
    request.goal = limits.goal
    request.device = try limits.device.map { try DeviceProfile.named($0) }
    return request
  }
}

/// A storage type as an option states it: `f16`.
struct StoredType: ExpressibleByArgument {
  let type: DType

  static var allValueStrings: [String] { DType.choosable.map(\.optionName) }
  static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }

  init?(argument: String) {
    guard let type = DType.choosable.first(where: { $0.optionName == argument }) else { return nil }
    self.type = type
  }
}

/// Widths in bits as an option states them: `auto` or `4,6,8`.
struct BitWidths: ExpressibleByArgument {
  let widths: [BitWidth]

  init?(argument: String) {
    if argument == "auto" {
      widths = BitWidth.allCases
      return
    }
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    let widths = parts.compactMap { Int($0).flatMap(BitWidth.init) }
    guard !widths.isEmpty, widths.count == parts.count else { return nil }
    self.widths = Set(widths).sorted()
  }
}

/// A list of structures as an option states it: `svd,cp,gkpd`.
struct StructureList: ExpressibleByArgument {
  let names: [String]

  static var known: String { Structures.names.joined(separator: ", ") }

  init?(argument: String) {
    guard argument != "none" else {
      names = []
      return
    }
    names = argument.split(separator: ",").map(String.init)
    guard !names.isEmpty, names.allSatisfy(Structures.names.contains) else { return nil }
  }
}
