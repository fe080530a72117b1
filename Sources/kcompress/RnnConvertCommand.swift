import ArgumentParser
import Basics
import CharacterModels
import Recurrent

struct RnnConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Turn a recurrent model into one of another kind.",
    discussion: """
      Exact: rnn, mirnn and cprnn to 2rnn, mirnn to cprnn, cpbirnn to birnn. A 2rnn becomes a cprnn of any --rank by a fit, in the norm of \
      the weights or, with --calibration, in that of the states and characters of a text.
      """)

  @Argument(help: "A character model.", completion: .file())
  var model: String

  @Option(help: ArgumentHelp("The kind to make of it.", valueName: "kind"))
  var to: RecurrentShape.Kind

  @Option(help: ArgumentHelp("The rank of a fit.", valueName: "n"))
  var rank: Int?

  @Option(help: ArgumentHelp("A text for the norm of a fit.", valueName: "file"), completion: .file())
  var calibration: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("Where the model goes.", valueName: "file"), completion: .file())
  var output: String

  @Option(help: "The seed of everything random.")
  var seed: UInt64 = 0

  @Flag(help: "Replace files that exist.")
  var overwrite = false

  @OptionGroup var common: CommonOptions

  func validate() throws { try validateExtents([("--rank", rank ?? 1)]) }

  func run() throws {
    let result = try common.run(
      RecurrentConversionRequest(
        model: model, to: to, rank: rank, calibration: calibration, output: output, seed: seed, overwrite: overwrite))
    try common.show(
      result.json,
      "\(output): \(result.shape.sentence)"
        + (result.discrepancy.map { ", relative discrepancy of the tensor \(Format.number($0))" }
          ?? ", the same function"),
      notices: result.notices)
  }
}
