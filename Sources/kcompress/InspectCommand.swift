import ArgumentParser
import Pipeline

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show what a checkpoint holds and which layers can be compressed.")

  @Argument(help: .checkpoint, completion: .file())
  var checkpoint: String

  @OptionGroup var companions: CompanionOptions
  @OptionGroup var common: CommonOptions

  func run() throws {
    let inspection = try Inspection(path: checkpoint, companions: companions.companions)
    inspection.checkpoint.notices.forEach(common.terminal.notice)
    common.terminal.result(inspection.json, inspection.text)
  }
}
