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
    /// What came of the training with each seed.
    package let runs: [Run]

    /// Bits per character on the test text, for each seed whose training did not diverge.
    package var bits: [Double] {
      runs.compactMap { run -> Double? in if case .finished(let bits) = run.outcome { bits } else { nil } }
    }

    /// Nil where all trainings diverged.
    package var mean: Double? { bits.isEmpty ? nil : bits.reduce(0, +) / Double(bits.count) }

    /// The standard deviation over the seeds, 0 for one; nil where all trainings diverged.
    package var spread: Double? {
      mean.map { mean in
        let squares = bits.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return bits.count > 1 ? (squares / Double(bits.count - 1)).squareRoot() : 0
      }
    }
  }

  /// One training.
  package struct Run: Sendable {
    package let seed: UInt64
    package let outcome: Outcome
  }

  package enum Outcome: Sendable {
    /// Bits per character on the test text.
    case finished(Double)
    /// Where the training diverged: it is no part of the comparison.
    case diverged(String)
  }

  package let entries: [Entry]
  package let text: String
  package let test: String
  package let epochs: Int
  package let seconds: Double
  package let notices: [String]
  /// Where the report goes.
  package let reports: ReportPaths

  /// What is to be said of every training that diverged.
  package var divergences: [String] {
    entries.flatMap { entry in
      entry.runs.compactMap { run -> String? in
        guard case .diverged(let ending) = run.outcome else { return nil }
        let subject = "the \(entry.shape.kind.rawValue) of \(entry.budget) parameters with seed \(run.seed)"
        return "\(subject) has diverged and is left out: \(ending) (give a lower --learning-rate)"
      }
    }
  }

  package var json: JSON {
    [
      "text": .string(text), "test": .string(test), "epochs": .integer(epochs), "seconds": .real(seconds.rounded()),
      "models": .array(
        entries.map {
          [
            "budget": .integer($0.budget), "model": .string($0.shape.kind.rawValue),
            "hidden": .integer($0.shape.hidden),
            "rank": .integer($0.shape.rank), "parameters": .integer($0.shape.parameterCount),
            "bits_per_character": .array($0.bits.map(JSON.real)), "mean": .optional($0.mean, JSON.real),
            "spread": .optional($0.spread, JSON.real), "diverged": .array($0.runs.compactMap(\.divergence)),
          ]
        }), "diverged": .bool(!divergences.isEmpty), "notices": .strings(notices + divergences),
    ]
  }
}

extension RecurrentContest.Run {
  /// The seed and the end of a training that diverged; nil for another.
  fileprivate var divergence: JSON? {
    guard case .diverged(let ending) = outcome else { return nil }
    return ["seed": .seed(seed), "ending": .string(ending)]
  }
}

extension RecurrentContestRequest {
  /// Trains the kinds that the paper compares under every budget with several seeds. Trainings run side by side, each on one thread.
  /// One that diverges does not end the others.
  ///
  /// - Throws: `Failure` where a text does not serve or a budget has no network.
  package func run(workers: Workers, progress: ProgressHandler) throws -> RecurrentContest {
    let start = ContinuousClock.now
    let paths = ReportPaths(html: report)
    let files = [
      (self.text, "the text"), (self.validation, "the validation text"), (self.test, "the test text"),
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
    let outcomes = try workers.map(runs) { run -> RecurrentContest.Outcome in
      let settings = self.schedule.settings(seed: run.seed)
      let shape = contestants[run.contestant].shape
      let one = Workers(count: 1)
      var trainer = CharacterTrainer(RecurrentModel(shape, vocabulary, seed: run.seed), settings)
      while !trainer.isDone(self.schedule) {
        try trainer.run(training.tokens, validation: validation.tokens, workers: one, progress: .silent)
      }
      progress("train", counter.next(), of: runs.count, "\(shape.kind.rawValue) \(run.seed)")
      if let divergence = trainer.divergence { return .diverged(divergence) }
      return .finished(
        try CharacterLoss.bitsPerCharacter(
          trainer.best, test.tokens, steps: settings.steps, settings.state, workers: one))
    }
    return RecurrentContest(
      entries: contestants.enumerated().map { index, contestant in
        RecurrentContest.Entry(
          budget: contestant.budget, shape: contestant.shape,
          runs: zip(runs, outcomes).filter { $0.0.contestant == index }.map { .init(seed: $0.0.seed, outcome: $0.1) })
      },
      text: self.text, test: test.path, epochs: self.schedule.epochs,
      seconds: (ContinuousClock.now - start).inSeconds,
      notices: [training, validation, test].compactMap(\.notice), reports: paths)
  }
}
