import Basics
import Checkpoints
import Formats
import Foundation
import Recurrent

/// How long and in what steps a character model is trained.
package struct RecurrentSchedule: Sendable, Equatable {
  package var epochs: Int
  /// Epochs without a lower validation loss that are borne.
  package var patience: Int
  /// The characters of a segment.
  package var steps: Int
  /// Segments that run together.
  package var batch: Int
  /// Of Adam's steps, at first.
  package var rate: Double
  /// Whether the state goes on from segment to segment.
  package var carriesState: Bool

  package init(
    epochs: Int, patience: Int = 5, steps: Int = 50, batch: Int = 128, rate: Double = 1e-3, carriesState: Bool = false
  ) {
    (self.epochs, self.patience, self.steps) = (epochs, patience, steps)
    (self.batch, self.rate, self.carriesState) = (batch, rate, carriesState)
  }

  func settings(seed: UInt64) -> CharacterTrainer.Settings {
    CharacterTrainer.Settings(
      steps: steps, batch: batch, rate: rate, state: carriesState ? .carried : .reset, seed: seed)
  }
}

/// What the user asks `rnn train` for.
package struct RecurrentTrainingRequest: Sendable {
  /// What is trained.
  package enum Start: Sendable {
    /// A new network; the rank of a kind that has one.
    case new(RecurrentShape.Kind, hidden: Int, rank: Int)
    /// The network in a file.
    case file(String)
  }

  package var text: String
  /// Nil holds out the end of the text.
  package var validation: String?
  package var start: Start
  package var output: String
  package var schedule: RecurrentSchedule
  package var seed: UInt64
  package var resumes: Bool
  package var overwrite: Bool

  package init(
    text: String, validation: String? = nil, start: Start, output: String, schedule: RecurrentSchedule,
    seed: UInt64 = 0, resumes: Bool = false, overwrite: Bool = false
  ) {
    (self.text, self.validation, self.start, self.output) = (text, validation, start, output)
    (self.schedule, self.seed, self.resumes, self.overwrite) = (schedule, seed, resumes, overwrite)
  }

  /// Where the state of the training is kept.
  package var statePath: String { (output as NSString).deletingPathExtension + ".training.safetensors" }
}

/// What `rnn train` did.
package struct RecurrentTrainingResult: Sendable {
  package struct Epoch: Sendable, Equatable {
    /// Bits per character, on average over the epoch.
    package let training: Double
    /// Bits per character after the epoch.
    package let validation: Double
    /// Of the steps in the epoch.
    package let rate: Double
  }

  package let output: String
  package let shape: RecurrentShape
  /// All of them, those before a resumption too.
  package let epochs: [Epoch]
  /// The validation loss, in bits per character, of the model that training started from; nil for a new one.
  package let initialBits: Double?
  /// The epoch whose model is in the file; 0 for the model that training started from.
  package let bestEpoch: Int
  package let seconds: Double
  package let notices: [String]

  /// Of the model in the file.
  package var bitsPerCharacter: Double { bestEpoch == 0 ? initialBits ?? .nan : epochs[bestEpoch - 1].validation }

  package var json: JSON {
    [
      "output": .string(output), "model": .string(shape.kind.rawValue), "hidden": .integer(shape.hidden),
      "inputs": .integer(shape.inputs), "rank": .integer(shape.rank), "parameters": .integer(shape.parameterCount),
      "epochs": .array(
        epochs.map {
          [
            "training_bits": .real($0.training), "validation_bits": .real($0.validation), "rate": .real($0.rate),
          ]
        }),
      "initial_bits": .optional(initialBits, JSON.real), "best_epoch": .integer(bestEpoch),
      "validation_bits": .real(bitsPerCharacter),
      "seconds": .real((seconds * 1000).rounded() / 1000), "notices": .strings(notices),
    ]
  }
}

/// Trains a character model. The output is replaced whenever the validation loss is lower than ever before, the state of the training after
/// every epoch, so that an interrupted or diverged training loses nothing.
///
/// - Throws: `Failure` where a text or a file does not serve, or a loss is no number.
package func trainRecurrent(
  _ request: RecurrentTrainingRequest, workers: Workers, progress: Progress = .silent
) throws -> RecurrentTrainingResult {
  let start = ContinuousClock.now
  let inputs = [(request.text, "the text")] + (request.validation.map { [($0, "the text that judges")] } ?? [])
  try OutputSet([.init(request.output, option: "-o"), .init(request.statePath, option: "-o")])
    .check(inputs: inputs, overwrite: request.overwrite || request.resumes)
  let texts = try TrainingTexts(request.text, validation: request.validation)
  let first: RecurrentModel
  // What a training must have in common with the one that it resumes.
  var hashes = texts.hashes
  var notices: [String] = []
  switch request.start {
  case .new(let kind, let hidden, let rank):
    let vocabulary = Vocabulary(of: texts.training + texts.validation)
    first = RecurrentModel(
      RecurrentShape(kind, hidden: hidden, inputs: vocabulary.count, rank: kind.hasRank ? rank : 0), vocabulary,
      seed: request.seed)
  case .file(let path):
    let checkpoint = try CheckpointSource(path: path).open()
    let file = try RecurrentFile(checkpoint)
    (first, notices) = (file.model, file.notices)
    hashes.append(checkpoint.sha256)
  }
  let training = CharacterText(path: request.text, texts.training, first.vocabulary)
  let validation = CharacterText(
    path: request.validation ?? request.text, texts.validation, first.vocabulary)
  try training.require(steps: request.schedule.steps)
  try validation.require(steps: 1)
  notices += [training, validation].compactMap(\.notice)
  let settings = request.schedule.settings(seed: request.seed)
  var trainer =
    try request.resumes
    ? CharacterTrainer(path: request.statePath, settings, texts: hashes)
    : CharacterTrainer(first, settings)
  guard trainer.model.shape == first.shape else {
    throw Failure(
      request.statePath, "cannot be resumed", "it holds a \(trainer.model.shape.kind.rawValue) of other dimensions",
      remedy: "give the same options, or train from the beginning, without --resume")
  }
  if case .file = request.start, !request.resumes {
    try trainer.judgeStart(validation.tokens, workers: workers)
  }
  while !trainer.isDone(request.schedule) {
    try trainer.run(training.tokens, validation: validation.tokens, workers: workers, progress: progress)
    // After the first, where the model that was there is better, that one.
    if trainer.bestEpoch == trainer.epochs.count || trainer.epochs.count == 1 {
      try RecurrentFile.write(trainer.best, to: request.output, overwrite: true)
    }
    try trainer.write(to: request.statePath, texts: hashes)
  }
  if request.resumes { try RecurrentFile.write(trainer.best, to: request.output, overwrite: true) }
  return RecurrentTrainingResult(
    output: request.output, shape: trainer.best.shape,
    epochs: trainer.epochs, initialBits: trainer.initial, bestEpoch: trainer.bestEpoch ?? 0,
    seconds: (ContinuousClock.now - start) / .seconds(1), notices: notices)
}
