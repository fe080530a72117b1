import ArgumentParser
import Plans

struct DiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Show where two plans for one checkpoint differ.")

  @Argument(help: "The one plan.", completion: .file(extensions: ["json"]))
  var before: String

  @Argument(help: "The other.", completion: .file(extensions: ["json"]))
  var after: String

  @OptionGroup var common: CommonOptions

  func run() throws {
    let difference = try common.run(DiffRequest(before: before, after: after))
    try common.show(difference.json, difference.text)
  }
}
