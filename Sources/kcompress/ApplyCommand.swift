import ArgumentParser
import Compression
import Reports

struct ApplyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apply",
    abstract: "Write the compressed checkpoint that a plan describes, and a report.",
    discussion: """
      Writes model.compressed.h5 beside the checkpoint, with model.report.html, .md and .json, reads it back \
      and measures what became of the layers and of the network. --calibration takes the place of the \
      samples that the plan was made with.
      """)

  @Argument(help: "A plan that kcompress plan wrote.", completion: .file(extensions: ["json"]))
  var plan: String

  @Option(name: .shortAndLong, help: ArgumentHelp("Where the checkpoint goes.", valueName: "file"), completion: .file())
  var output: String?

  @Option(
    help: ArgumentHelp("Where the HTML report goes; .md and .json lie beside it.", valueName: "file"),
    completion: .file())
  var report: String?

  @Flag(
    help: """
      Write model.dense.h5 instead: the kernels that the factors stand for, under the original's names and shapes. It is as \
      large as the original.
      """)
  var dense = false

  @Flag(help: "Replace files that exist.")
  var overwrite = false

  @OptionGroup var calibration: CalibrationOptions
  @OptionGroup var common: CommonOptions

  func run() throws {
    let request = ApplyRequest(
      plan: plan, output: output, report: report, overwrite: overwrite, dense: dense,
      calibration: calibration.source)
    let result = try common.run(request)
    try ApplyReport(result).write(overwrite: overwrite)
    try common.show(result.json, result.text, notices: result.notices)
  }
}
