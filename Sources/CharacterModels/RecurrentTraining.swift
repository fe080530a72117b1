import Basics
import Formats
import Foundation
import Networks
import Recurrent
import Running

/// How long and in what steps a character model is trained.
package struct RecurrentSchedule: Sendable, Equatable {
  package var epochs: Int
  /// Epochs without a lower validation loss that are borne.
  package var patience: Int
  /// The characters of a segment.
  package var steps: Int
  /// Segments that run together.
  package var batchSize: Int
  /// The learning rate of Adam at first.
  package var learningRate: Double
  /// Whether the state goes on from segment to segment.
  package var carriesState: Bool

  package init(
    epochs: Int, patience: Int = 5, steps: Int = 50, batchSize: Int = 128, learningRate: Double = 1e-3,
    carriesState: Bool = false
  ) {
    (self.epochs, self.patience, self.steps) = (epochs, patience, steps)
    (self.batchSize, self.learningRate, self.carriesState) = (batchSize, learningRate, carriesState)
  }

  func settings(seed: UInt64) -> CharacterTrainer.Settings {
    CharacterTrainer.Settings(
      steps: steps, batchSize: batchSize, learningRate: learningRate, state: carriesState ? .carried : .reset,
      seed: seed)
  }
}

/// What the user asks `rnn train` for.
package struct RecurrentTrainingRequest: Job {
  /// What is trained.
  package enum Start: Sendable {
    /// A new network; the rank of a kind that has one.
    case new(RecurrentShape.Kind, hidden: Int, rank: Int)
    /// The network in a file.
    case file(String)
  }

  package var text: String
  /// The path of the validation text; nil holds out the end of the text.
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
    /// The training loss in bits per character, on average over the epoch.
    package let training: Double
    /// The validation loss in bits per character, after the epoch.
    package let validation: Double
    /// The learning rate in the epoch.
    package let learningRate: Double
  }

  package let output: String
  package let shape: RecurrentShape
  /// All epochs, those before a resumption too.
  package let epochs: [Epoch]
  /// The validation loss, in bits per character, of the model that training started from; nil for a new one.
  package let initialBits: Double?
  /// The epoch whose model is in the file; 0 for the model that training started from. Nil where a new network diverged before its
  /// first epoch ended, and there is no file.
  package let bestEpoch: Int?
  /// Where the training diverged and so ended; nil where it did not.
  package let divergence: String?
  package let seconds: Double
  package let notices: [String]

  /// The validation loss of the model in the file, in bits per character; nil where there is none.
  package var bitsPerCharacter: Double? {
    bestEpoch.flatMap { $0 == 0 ? initialBits : epochs[$0 - 1].validation }
  }

  package var json: JSON {
    [
      "output": .string(output), "model": .string(shape.kind.rawValue), "hidden": .integer(shape.hidden),
      "inputs": .integer(shape.inputs), "rank": .integer(shape.rank), "parameters": .integer(shape.parameterCount),
      "epochs": .array(
        epochs.map {
          [
            "training_bits": .real($0.training), "validation_bits": .real($0.validation),
            "learning_rate": .real($0.learningRate), "rate": .real($0.learningRate),
          ]
        }),
      "initial_bits": .optional(initialBits, JSON.real), "best_epoch": .optional(bestEpoch, JSON.integer),
      "validation_bits": .optional(bitsPerCharacter, JSON.real),
      "diverged": .bool(divergence != nil), "ending": .optional(divergence, JSON.string),
      "seconds": .real((seconds * 1000).rounded() / 1000), "notices": .strings(notices),
    ]
  }
}

extension RecurrentTrainingRequest {
  /// Trains a character model. The output is replaced whenever the validation loss is lower than ever before, the state of the
  /// training after every epoch, so that an interrupted or diverged training loses nothing.
  ///
  /// - Throws: `Failure` where a text or a file does not serve.
  package func run(workers: Workers, progress: ProgressHandler) throws -> RecurrentTrainingResult {
    let start = ContinuousClock.now
    let inputs = [(text, "the text")] + (validation.map { [($0, "the validation text")] } ?? [])
    try OutputSet([.init(output, option: "-o"), .init(statePath, option: "-o")])
      .check(inputs: inputs, overwrite: overwrite || resumes)
    let texts = try TrainingTexts(text, validation: validation)
    let first = try beginning(texts)
    let training = CharacterText(path: text, texts.training, first.model.vocabulary)
    let judging = CharacterText(path: validation ?? text, texts.validation, first.model.vocabulary)
    try training.require(steps: schedule.steps)
    try judging.require(steps: 1)
    let settings = schedule.settings(seed: seed)
    let file = CharacterTrainer.stateFile(statePath, settings, sources: texts.hashes + first.hashes)
    var trainer =
      try resumes ? CharacterTrainer(resuming: file, settings) : CharacterTrainer(first.model, settings)
    guard trainer.model.shape == first.model.shape else {
      throw Failure(
        statePath, "cannot be resumed", "it holds a \(trainer.model.shape.kind.rawValue) of other dimensions",
        remedy: "give the same options, or begin anew without --resume")
    }
    if case .file = self.start, !resumes { try trainer.judgeStart(judging.tokens, workers: workers) }
    try train(&trainer, training, judging, file, workers: workers, progress: progress)
    if resumes { try RecurrentFile.write(trainer.best, to: output, overwrite: true) }
    return RecurrentTrainingResult(
      output: output, shape: trainer.best.shape, epochs: trainer.epochs, initialBits: trainer.initial,
      bestEpoch: trainer.bestEpoch, divergence: trainer.divergence,
      seconds: (ContinuousClock.now - start).inSeconds,
      notices: first.notices + [training, judging].compactMap(\.notice))
  }

  /// What training starts from: the model, the hash of its file where there is one, and what the user should know of it.
  private func beginning(
    _ texts: TrainingTexts
  ) throws -> (model: RecurrentModel, hashes: [String], notices: [String]) {
    switch start {
    case .new(let kind, let hidden, let rank):
      let vocabulary = Vocabulary(of: texts.training + texts.validation)
      let shape = RecurrentShape(kind, hidden: hidden, inputs: vocabulary.count, rank: kind.hasRank ? rank : 0)
      return (RecurrentModel(shape, vocabulary, seed: seed), [], [])
    case .file(let path):
      let checkpoint = try CheckpointSource(path: path).open()
      let file = try RecurrentFile(checkpoint)
      return (file.model, [checkpoint.sha256], file.notices)
    }
  }

  private func train(
    _ trainer: inout CharacterTrainer, _ training: CharacterText, _ judging: CharacterText, _ file: RunStateFile,
    workers: Workers, progress: ProgressHandler
  ) throws {
    while !trainer.isDone(schedule) {
      try trainer.run(training.tokens, validation: judging.tokens, workers: workers, progress: progress)
      guard trainer.divergence == nil else { break }
      // After the first, where the model that was there is better, that one.
      if trainer.bestEpoch == trainer.epochs.count || trainer.epochs.count == 1 {
        try RecurrentFile.write(trainer.best, to: output, overwrite: true)
      }
      try trainer.write(to: file)
    }
    // What was there before is the best where not one epoch ended.
    if trainer.divergence != nil, trainer.epochs.isEmpty, trainer.bestEpoch == 0 {
      try RecurrentFile.write(trainer.best, to: output, overwrite: true)
    }
  }
}
