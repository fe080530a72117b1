import ArgumentParser
import CharacterModels
import Recurrent

struct RnnTrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Train a character model on a text.",
    discussion: """
      The model with the least loss on the validation text is always in the output file; the state of the training lies beside it \
      (model.training.safetensors), so that --resume goes on after an interruption as if there had been none.
      """)

  @Argument(help: "A text in UTF-8.", completion: .file())
  var text: String

  @Option(help: ArgumentHelp("rnn, mirnn, 2rnn, cprnn, birnn or cpbirnn.", valueName: "kind"))
  var model: RecurrentShape.Kind?

  @Option(help: ArgumentHelp("The hidden size: how many numbers the state has.", valueName: "n"))
  var hidden: Int?

  @Option(help: ArgumentHelp("The rank of the CP of a cprnn or cpbirnn.", valueName: "n"))
  var rank: Int?

  @Option(
    help: ArgumentHelp("Train a model that is there, a compressed one say.", valueName: "file"), completion: .file())
  var from: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("Where the model goes.", valueName: "file"), completion: .file())
  var output: String

  @Option(help: "The seed of everything random.")
  var seed: UInt64 = 0

  @Flag(help: "Go on with an interrupted training of the same options.")
  var resume = false

  @Flag(help: "Replace files that exist.")
  var overwrite = false

  @OptionGroup var training: RecurrentTrainingOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard (model == nil) != (from == nil) else {
      throw ValidationError("give either --model with --hidden, or --from")
    }
    guard let model else {
      guard hidden == nil, rank == nil else { throw ValidationError("--from excludes --hidden and --rank") }
      return
    }
    guard let hidden else { throw ValidationError("--model needs --hidden") }
    guard (rank != nil) == model.hasRank else {
      throw ValidationError(model.hasRank ? "a \(model.rawValue) needs --rank" : "a \(model.rawValue) has no --rank")
    }
    try validateExtents([("--hidden", hidden), ("--rank", rank ?? 1)])
  }

  func run() throws {
    let request = RecurrentTrainingRequest(
      text: text, validation: training.valid,
      start: from.map { .file($0) } ?? .new(model ?? .rnn, hidden: hidden ?? 1, rank: rank ?? 0), output: output,
      schedule: training.schedule, seed: seed, resumes: resume, overwrite: overwrite)
    let result = try common.run(request)
    try common.show(result.json, result.text, notices: result.notices)
    if result.divergence != nil { throw NegativeVerdict() }
  }
}
