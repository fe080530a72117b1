import ArgumentParser
import CharacterModels
import Decompositions
import Recurrent

struct RnnCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rnn",
    abstract: "Train, evaluate and convert recurrent character models with first- and second-order terms.",
    discussion: """
      kcompress rnn train text.txt --model cprnn --hidden 128 --rank 192 -o model.safetensors
      kcompress rnn eval model.safetensors other.txt

      A second-order network (2rnn) is compressed by plan and apply like any other checkpoint; as a CP it is a cprnn.
      """,
    subcommands: [
      RnnTrainCommand.self, RnnEvalCommand.self, RnnSampleCommand.self, RnnConvertCommand.self, RnnBudgetCommand.self,
    ])
}

extension RecurrentShape.Kind: ExpressibleByArgument {}

/// How a text is divided.
struct SegmentOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The sequence length in characters; training goes back through as many (truncated back-propagation through time).",
      valueName: "n"))
  var steps = 50

  @Flag(help: "Carry the state from segment to segment; without it every segment begins at zero, as published.")
  var carry = false

  func validate() throws {
    guard (1...10_000).contains(steps) else { throw ValidationError("--steps must be from 1 to 10000, not \(steps)") }
  }
}

/// How a model is trained.
struct RecurrentTrainingOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The validation text; the last tenth of the training text unless given.", valueName: "file"),
    completion: .file())
  var valid: String?

  @Option(help: ArgumentHelp("The most epochs.", valueName: "n"))
  var epochs = 30

  @Option(
    help: ArgumentHelp("Early stopping: end after so many epochs without a lower validation loss.", valueName: "n"))
  var patience = 5

  @Option(help: ArgumentHelp("The sequences of one optimisation step.", valueName: "n"))
  var batchSize = 128
  @Option(name: .customLong("batch"), help: .hidden) var oldBatchSize: Int?

  @Option(help: ArgumentHelp("The learning rate of Adam, halved on plateaus of the validation loss.", valueName: "x"))
  var learningRate = 1e-3
  @Option(name: .customLong("rate"), help: .hidden) var oldLearningRate: Double?

  @OptionGroup var segments: SegmentOptions

  var schedule: RecurrentSchedule {
    RecurrentSchedule(
      epochs: epochs, patience: patience, steps: segments.steps, batchSize: oldBatchSize ?? batchSize,
      learningRate: oldLearningRate ?? learningRate, carriesState: segments.carry)
  }

  func validate() throws {
    guard epochs >= 1, patience >= 0 else { throw ValidationError("--epochs must be at least 1, --patience 0") }
    guard (1...100_000).contains(schedule.batchSize) else {
      throw ValidationError("--batch-size must be from 1 to 100000, not \(schedule.batchSize)")
    }
    guard schedule.learningRate > 0, schedule.learningRate.isFinite else {
      throw ValidationError("--learning-rate must be above 0, not \(schedule.learningRate)")
    }
  }
}

/// A part of a network's shape: from 1 to what a file may hold.
func validateExtents(_ extents: [(name: String, value: Int)]) throws {
  for (name, value) in extents where !(1...65_536).contains(value) {
    throw ValidationError("\(name) must be from 1 to 65536, not \(value)")
  }
}
