import ArgumentParser
import Planning

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show what a checkpoint holds and which layers can be compressed.")

  @Argument(help: .checkpoint, completion: .file())
  var checkpoint: String

  @OptionGroup var companions: CompanionOptions
  @OptionGroup var common: CommonOptions

  func run() throws {
    let inspection = try common.run(InspectRequest(checkpoint: checkpoint, companions: companions.companions))
    try common.show(inspection.json, inspection.text, notices: inspection.notices)
  }
}
