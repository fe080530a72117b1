import ArgumentParser
import Pipeline

struct DiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Show where two plans for one checkpoint differ.")

  @Argument(help: "The one plan.", completion: .file(extensions: ["json"]))
  var before: String

  @Argument(help: "The other.", completion: .file(extensions: ["json"]))
  var after: String

  @OptionGroup var common: CommonOptions

  func run() throws {
    let difference = try PlanDifference(PlanDocument(path: before), PlanDocument(path: after))
    common.terminal.result(difference.json, difference.text)
  }
}
