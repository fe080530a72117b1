import Basics
import Foundation
import Networks
import Recurrent
import Running

/// What the user asks `rnn budget` to train.
package struct RecurrentContestRequest: Job {
  /// The kinds that the paper compares.
  package static let kinds: [RecurrentShape.Kind] = [.rnn, .mirnn, .secondOrder, .cprnn]

  package var budgets: [Int]
  package var text: String
  package var validation: String?
  /// What the models are compared on; nil takes the validation text.
  package var test: String?
  package var seeds: Int
  package var schedule: RecurrentSchedule
  /// The path of the HTML form of the report.
  package var report: String
  package var overwrite: Bool

  package init(
    budgets: [Int], text: String, validation: String? = nil, test: String? = nil, seeds: Int = 3,
    schedule: RecurrentSchedule, report: String, overwrite: Bool = false
  ) {
    (self.budgets, self.text, self.validation, self.test, self.seeds) = (budgets, text, validation, test, seeds)
    (self.schedule, self.report, self.overwrite) = (schedule, report, overwrite)
  }
}

/// Models of different kinds with equal budgets, trained side by side.
package struct RecurrentContest: Sendable {
  package struct Entry: Sendable {
    package let budget: Int
    package let shape: RecurrentShape
    /// Bits per character on the test text, for each seed.
    package let bits: [Double]

    package var mean: Double { bits.reduce(0, +) / Double(max(1, bits.count)) }
    /// The standard deviation over the seeds; 0 for one.
    package var spread: Double {
      let squares = bits.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      return bits.count > 1 ? (squares / Double(bits.count - 1)).squareRoot() : 0
    }
  }

  package let entries: [Entry]
  package let text: String
  package let test: String
  package let epochs: Int
  package let seconds: Double
  package let notices: [String]
  /// Where the report goes.
  package let reports: ReportPaths

  package var json: JSON {
    [
      "text": .string(text), "test": .string(test), "epochs": .integer(epochs), "seconds": .real(seconds.rounded()),
      "models": .array(
        entries.map {
          [
            "budget": .integer($0.budget), "model": .string($0.shape.kind.rawValue),
            "hidden": .integer($0.shape.hidden),
            "rank": .integer($0.shape.rank), "parameters": .integer($0.shape.parameterCount),
            "bits_per_character": .array($0.bits.map(JSON.real)), "mean": .real($0.mean), "spread": .real($0.spread),
          ]
        }), "notices": .strings(notices),
    ]
  }
}

extension RecurrentContestRequest {
  /// Trains the kinds that the paper compares under every budget with several seeds. Trainings run side by side, each on one thread.
  ///
  /// - Throws: `Failure` where a text does not serve, a budget has no network, or a training diverges.
  package func run(workers: Workers, progress: ProgressHandler) throws -> RecurrentContest {
    let start = ContinuousClock.now
    let paths = ReportPaths(html: report)
    let files = [
      (self.text, "the text"), (self.validation, "the text that judges"), (self.test, "the test text"),
    ]
    .compactMap { path, role in path.map { ($0, role) } }
    try OutputSet(paths.all.map { .init($0, option: "--report") }).check(inputs: files, overwrite: self.overwrite)
    let split = try TrainingTexts(self.text, validation: self.validation)
    let vocabulary = Vocabulary(of: split.training + split.validation)
    let training = CharacterText(path: self.text, split.training, vocabulary)
    let validation = CharacterText(path: self.validation ?? self.text, split.validation, vocabulary)
    let test = try self.test.map { try CharacterText(path: $0, vocabulary) } ?? validation
    try training.require(steps: self.schedule.steps)
    for text in [validation, test] { try text.require(steps: 1) }
    let contestants = try self.budgets.flatMap { budget in
      try RecurrentContestRequest.kinds.map { kind in
        guard let shape = RecurrentBudget.choices(kind, inputs: vocabulary.count, parameters: budget).first else {
          throw Failure(
            "budget \(budget)", "allows no \(kind.rawValue)", "the text has \(vocabulary.count - 1) characters",
            remedy: "give more parameters")
        }
        return (budget: budget, shape: shape)
      }
    }
    let runs = contestants.indices.flatMap { contestant in
      (0..<self.seeds).map { (contestant: contestant, seed: UInt64($0)) }
    }
    let counter = Counter()
    let bits = try workers.map(runs) { run in
      let settings = self.schedule.settings(seed: run.seed)
      let shape = contestants[run.contestant].shape
      let one = Workers(count: 1)
      var trainer = CharacterTrainer(RecurrentModel(shape, vocabulary, seed: run.seed), settings)
      while !trainer.isDone(self.schedule) {
        try trainer.run(training.tokens, validation: validation.tokens, workers: one, progress: .silent)
      }
      if let divergence = trainer.divergence {
        throw Failure(
          "the \(shape.kind.rawValue) with seed \(run.seed)", "has diverged", divergence,
          remedy: "give a lower --learning-rate")
      }
      progress("train", counter.next(), of: runs.count, "\(shape.kind.rawValue) \(run.seed)")
      return try CharacterLoss.bitsPerCharacter(
        trainer.best, test.tokens, steps: settings.steps, settings.state, workers: one)
    }
    return RecurrentContest(
      entries: contestants.enumerated().map { index, contestant in
        RecurrentContest.Entry(
          budget: contestant.budget, shape: contestant.shape,
          bits: zip(runs, bits).filter { $0.0.contestant == index }.map(\.1))
      },
      text: self.text, test: test.path, epochs: self.schedule.epochs,
      seconds: (ContinuousClock.now - start).inSeconds,
      notices: [training, validation, test].compactMap(\.notice), reports: paths)
  }
}
