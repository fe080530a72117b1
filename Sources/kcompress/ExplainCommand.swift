import ArgumentParser
import Foundation
import Planning

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Show what each structure reaches for one layer.",
    discussion: "For one size of the layer: the best shapes and ranks of every structure, best first.")

  @Argument(help: .checkpoint, completion: .file())
  var checkpoint: String

  @Argument(help: "A layer's name, as inspect lists it.")
  var layer: String

  @Option(help: ArgumentHelp("How many times fewer parameters than the dense kernel; 3 unless given.", valueName: "x"))
  var ratio: Double?

  @Option(help: ArgumentHelp("The most parameters instead: 12000, 12k.", valueName: "n"))
  var parameters: Count?

  @Option(help: ArgumentHelp("The structures to try, separated by commas: \(StructureList.known).", valueName: "list"))
  var structures: StructureList?

  @Option(
    help: ArgumentHelp(
      "Round the weights as well: auto for all widths from 2 to 8 bits, or a list such as 4,6,8.",
      valueName: "auto|list"))
  var bits: BitWidths?

  @Option(help: "The seed of everything random.")
  var seed: UInt64 = 0

  @OptionGroup var calibration: CalibrationOptions
  @OptionGroup var companions: CompanionOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard ratio == nil || parameters == nil else {
      throw ValidationError("--ratio and --parameters exclude each other")
    }
    if let structures, structures.names.isEmpty {
      throw ValidationError("--structures none leaves nothing to compare: name some, or leave it out")
    }
    if let ratio, !(ratio > 1 && ratio.isFinite) { throw ValidationError("--ratio must be above 1, not \(ratio)") }
  }

  func run() throws {
    let size = parameters.map { ExplainRequest.Size.parameters($0.value) } ?? .ratio(ratio ?? 3)
    let request = ExplainRequest(
      checkpoint: checkpoint, layer: layer, size: size, structures: structures?.names ?? [], seed: seed,
      bits: bits?.widths ?? [], companions: companions.companions,
      calibration: calibration.source)
    let explanation = try common.run(request)
    try common.show(explanation.json, explanation.text, notices: explanation.notices)
  }
}
