import ArgumentParser
import Basics
import CharacterModels

struct RnnEvalCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "eval", abstract: "Measure a character model's bits per character on a text.",
    discussion: "The model may be one that rnn train wrote, or one that plan and apply have compressed.")

  @Argument(help: "A character model.", completion: .file())
  var model: String

  @Argument(help: "A text in UTF-8.", completion: .file())
  var text: String

  @OptionGroup var segments: SegmentOptions
  @OptionGroup var common: CommonOptions

  func run() throws {
    let evaluation = try common.run(
      RecurrentEvaluationRequest(
        model: model, text: text, steps: segments.steps, carriesState: segments.carry))
    try common.show(
      evaluation.json,
      "\(model): \(Format.number(evaluation.bitsPerCharacter)) bits per character on \(evaluation.characters) characters of "
        + "\(text) (\(evaluation.shape.sentence))", notices: evaluation.notices)
  }
}

struct RnnSampleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sample", abstract: "Write text as a character model would.")

  @Argument(help: "A character model.", completion: .file())
  var model: String

  @Option(help: ArgumentHelp("The characters to write.", valueName: "n"))
  var length = 500

  @Option(help: ArgumentHelp("What the model reads first; a line break unless given.", valueName: "text"))
  var prime: String?

  @Option(help: ArgumentHelp("The softmax's temperature: above 1 for more surprise, below for less.", valueName: "x"))
  var temperature = 1.0

  @Option(help: "The seed of everything random.")
  var seed: UInt64 = 0

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard (1...10_000_000).contains(length) else { throw ValidationError("--length must be from 1 to 10000000") }
    guard prime != "" else { throw ValidationError("--prime must not be empty") }
    guard temperature > 0, temperature.isFinite else { throw ValidationError("--temperature must be above 0") }
  }

  func run() throws {
    let sample = try common.run(
      RecurrentSamplingRequest(model: model, length: length, prime: prime ?? "\n", temperature: temperature, seed: seed)
    )
    try common.show(sample.json, sample.text, notices: sample.notices)
  }
}
