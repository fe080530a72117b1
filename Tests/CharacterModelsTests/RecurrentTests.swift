import Basics
import Checkpoints
import Compression
import Foundation
import Networks
import Planning
import Plans
import Recurrent
import Reports
import Running
import TensorCore
import TestSupport
import Testing

@testable import CharacterModels

/// Seeded text of a few words, so that there is something to learn.
private func text(words count: Int, seed: UInt64 = 3) -> String {
  let words = ["the", "second", "order", "state", "meets", "every", "letter", "of", "a", "text"]
  var generator = SplitMix64(seed: seed)
  return (0..<count).map { _ in words[Int(generator.nextUniform() * Double(words.count))] }.joined(separator: " ")
}

private let workers = Workers(count: 2)

/// A folder with texts and models, and requests for them.
private struct Desk {
  let folder: String
  var training: String { folder + "/train.txt" }
  var other: String { folder + "/other.txt" }
  func path(_ name: String) -> String { folder + "/" + name }

  static func with(_ body: (Desk) throws -> Void) throws {
    try withTemporaryFolder { folder in
      let desk = Desk(folder: folder)
      try Data(text(words: 1200).utf8).write(to: URL(fileURLWithPath: desk.training))
      try Data((text(words: 300, seed: 8) + " ~!").utf8).write(to: URL(fileURLWithPath: desk.other))
      try body(desk)
    }
  }

  func request(
    _ kind: RecurrentShape.Kind, hidden: Int = 12, to name: String, epochs: Int, rate: Double = 1e-2,
    carry: Bool = false,
    resumes: Bool = false
  ) -> RecurrentTrainingRequest {
    RecurrentTrainingRequest(
      text: training, start: .new(kind, hidden: hidden, rank: kind.hasRank ? 8 : 0), output: path(name),
      schedule: RecurrentSchedule(epochs: epochs, steps: 20, batchSize: 16, learningRate: rate, carriesState: carry),
      seed: 4,
      resumes: resumes)
  }

  func bytes(_ name: String) throws -> [UInt8] { try InputFile.read(path(name)) }

  func bits(_ name: String, carry: Bool = false) throws -> Double {
    try RecurrentEvaluationRequest(model: path(name), text: other, steps: 20, carriesState: carry).run()
      .bitsPerCharacter
  }
}

@Suite struct RecurrentTests {
  /// Every kind learns; that takes the entropy of single letters, above 3.5 bits here, below what follows from the letters before.
  @Test(arguments: RecurrentShape.Kind.allCases)
  func trainingLowersTheLoss(kind: RecurrentShape.Kind) throws {
    try Desk.with { desk in
      let result = try desk.request(kind, to: "a.safetensors", epochs: 6).run()
      #expect(result.epochs.count == 6)
      let first = try #require(result.epochs.first).training
      #expect(try #require(result.bitsPerCharacter) < 0.8 * first, "\(result.epochs)")
      let file = try RecurrentFile(path: result.output)
      #expect(file.model.shape.kind == kind)
      // The text ends in three characters that the model has not seen: ~ ! are unknown.
      let evaluation = try RecurrentEvaluationRequest(model: result.output, text: desk.other, steps: 20).run()
      #expect(evaluation.unknown == 2 && evaluation.notices.contains { $0.contains("2 of the") })
      #expect(evaluation.bitsPerCharacter < first)
    }
  }

  /// Stopped after two epochs and resumed, a training ends in the same bytes; and so it does on one thread.
  @Test(arguments: [false, true])
  func resumedTrainingIsTheSame(carry: Bool) throws {
    try Desk.with { desk in
      _ = try desk.request(.cprnn, to: "whole.safetensors", epochs: 4, carry: carry).run()
      _ = try desk.request(.cprnn, to: "parts.safetensors", epochs: 2, carry: carry).run()
      #expect(try desk.bytes("parts.safetensors") != desk.bytes("whole.safetensors"))
      let resumed = try desk.request(.cprnn, to: "parts.safetensors", epochs: 4, carry: carry, resumes: true).run()
      #expect(resumed.epochs.count == 4)
      _ = try desk.request(.cprnn, to: "single.safetensors", epochs: 4, carry: carry).run(threads: 1)
      for name in ["parts", "single"] {
        #expect(try desk.bytes("\(name).safetensors") == desk.bytes("whole.safetensors"))
        #expect(try desk.bytes("\(name).training.safetensors") == desk.bytes("whole.training.safetensors"))
      }
    }
  }

  @Test func aResumptionWithOtherOptionsIsRefused() throws {
    try Desk.with { desk in
      _ = try desk.request(.rnn, to: "a.safetensors", epochs: 1).run()
      let rate = #expect(throws: Failure.self) {
        try desk.request(.rnn, to: "a.safetensors", epochs: 2, rate: 2e-2, resumes: true).run()
      }
      #expect(rate?.description.contains("its options were others") == true)
      let shape = #expect(throws: Failure.self) {
        try desk.request(.rnn, hidden: 13, to: "a.safetensors", epochs: 2, resumes: true).run()
      }
      #expect(shape?.description.contains("of other dimensions") == true)
    }
  }

  /// Steps that are too long make a trained model worse: it is kept, after as many epochs as are borne.
  @Test func aModelThatIsThereHasToBeBeaten() throws {
    try Desk.with { desk in
      _ = try desk.request(.rnn, to: "a.safetensors", epochs: 3).run()
      var request = desk.request(.rnn, to: "b.safetensors", epochs: 20, rate: 1)
      request.start = .file(desk.path("a.safetensors"))
      request.schedule.patience = 2
      let result = try request.run()
      let initial = try #require(result.initialBits)
      #expect(result.bestEpoch == 0 && result.epochs.count == 2 && result.bitsPerCharacter == initial)
      #expect(try desk.bytes("b.safetensors") == desk.bytes("a.safetensors"))
      // Another model of the same shape is not what was resumed.
      request.start = .file(desk.path("c.safetensors"))
      request.resumes = true
      _ = try desk.request(.rnn, to: "c.safetensors", epochs: 1).run()
      let refused = #expect(throws: Failure.self) { try request.run() }
      #expect(refused?.description.contains("its options were others") == true)
    }
  }

  /// A loss that is no number ends the training in a sentence; the best model stays.
  @Test func divergedTrainingLosesNothing() throws {
    try Desk.with { desk in
      _ = try desk.request(.secondOrder, to: "a.safetensors", epochs: 1).run()
      var request = desk.request(.secondOrder, to: "b.safetensors", epochs: 9, rate: 1e30)
      request.start = .file(desk.path("a.safetensors"))
      let failed = try request.run()
      #expect(failed.divergence?.contains("epoch 1") == true)
      #expect(failed.bestEpoch == 0 && failed.bitsPerCharacter == failed.initialBits)
      #expect(try desk.bytes("b.safetensors") == desk.bytes("a.safetensors"))
      // A new network has nothing that could be kept.
      request.start = .new(.secondOrder, hidden: 12, rank: 0)
      request.output = desk.path("c.safetensors")
      let lost = try request.run()
      #expect(lost.divergence != nil && lost.bestEpoch == nil && lost.bitsPerCharacter == nil)
      #expect(!FileManager.default.fileExists(atPath: lost.output))
    }
  }

  /// A network of zeros gives every symbol the same probability, whole segments or not, carried or not.
  @Test(arguments: [false, true])
  func zerosCostTheLogarithmOfTheSymbols(carry: Bool) throws {
    try Desk.with { desk in
      let shape = RecurrentShape(.rnn, hidden: 3, inputs: 5)
      var model = RecurrentModel(shape, Vocabulary(of: "abcd"), seed: 1)
      model.parameters = model.parameters.mapValues { Tensor(zeros: $0.shape) }
      try RecurrentFile.write(model, to: desk.path("zero.safetensors"), overwrite: false)
      #expect(abs(try desk.bits("zero.safetensors", carry: carry) - log2(5)) <= 1e-6)
    }
  }

  /// Planned, applied and verified, with every structure; a CP is a cprnn, the others run as the tensor that they stand for.
  @Test(arguments: ["cp", "tucker", "tt", "sekron"])
  func secondOrderTensorsAreLayers(structure: String) throws {
    try Desk.with { desk in
      _ = try desk.request(.secondOrder, to: "a.safetensors", epochs: 3).run()
      let original = try Checkpoint.open(desk.path("a.safetensors"))
      #expect(original.layers.map(\.name) == ["bilinear"])
      let budget = original.byteCount * 7 / 10
      let request = PlanRequest(
        checkpoint: original.path, budget: [.bytes: Double(budget)], recipe: Recipe(structures: [structure]),
        calibration: structure == "cp" ? CalibrationSource(path: desk.training) : nil)
      guard case .plan(let plan) = try Planner.prepared(for: request, workers: workers, progress: .silent).plan() else {
        Issue.record("no plan")
        return
      }
      #expect(plan.layers[0].form.structure == structure)
      let planPath = desk.path("a.plan.json")
      try OutputFile.write(plan.json.text().utf8, to: planPath, overwrite: false)
      let result = try ApplyRequest(plan: planPath).run()
      #expect(result.bytes <= budget && result.bytes == plan.predicted.bytes)
      let discrepancy = try #require(result.network.comparison).worst.relativeDiscrepancy
      let verification = try VerifyRequest(checkpoint: result.output, text: desk.other).run()
      #expect(verification.verdict == .passed, "\(verification.failures)")
      #expect(abs((verification.examination.outputs.first?.relativeDiscrepancy ?? .nan) - discrepancy) <= 1e-6)
      let bits = try #require(verification.examination.bitsPerCharacter)
      let before = try #require(verification.examination.originalBitsPerCharacter)
      #expect(bits < before + 1 && bits >= before - 0.5)

      let file = try RecurrentFile(path: result.output)
      // A SeKron of three factors over whole modes is a CP.
      let isCanonical = file.model.shape.kind == .cprnn
      #expect(isCanonical || structure != "cp")
      #expect(!isCanonical || ["cp", "sekron"].contains(structure))
      #expect(file.notices.isEmpty == isCanonical)
      // Whatever form it runs in, it is the kernel that the file's weights compose to.
      let record = try #require(try Checkpoint.open(result.output).compressionRecord())
      let composed = try record.layers[0].composed(in: Checkpoint.open(result.output))
      #expect(file.model.bilinearTensor.relativeDiscrepancy(from: composed) <= 1e-6)
      let tight = try VerifyRequest(
        checkpoint: result.output, thresholds: Thresholds(maximumDiscrepancy: discrepancy / 2)
      ).run()
      #expect(tight.verdict == .failed)
    }
  }

  /// With a text, structures are compared by what they do to the state; the fit that does best there is further from the tensor itself.
  @Test func explainsWithAText() throws {
    try Desk.with { desk in
      _ = try desk.request(.secondOrder, to: "a.safetensors", epochs: 5).run()
      var request = ExplainRequest(
        checkpoint: desk.path("a.safetensors"), layer: "bilinear", size: .ratio(4), structures: ["cp", "tucker"])
      let plain = try request.run()
      request.calibration = CalibrationSource(path: desk.training)
      let fitted = try request.run()
      #expect(!plain.isCalibrated && fitted.isCalibrated)
      let outputs = fitted.candidates.map(\.outputDiscrepancy)
      #expect(outputs.count == 2 && outputs == outputs.sorted() && outputs.allSatisfy { $0 > 0 && $0 < 1 })
      for candidate in fitted.candidates {
        let other = try #require(plain.candidates.first { $0.structure == candidate.structure })
        #expect(candidate.discrepancy > other.discrepancy && candidate.outputDiscrepancy < other.discrepancy)
      }
    }
  }

  /// A fit in the norm of the states and characters keeps more of what the model says than one in the norm of the weights.
  @Test func conversionsFitTheTextBetter() throws {
    try Desk.with { desk in
      _ = try desk.request(.secondOrder, to: "a.safetensors", epochs: 5).run()
      func convert(rank: Int, calibration: String?, to name: String) throws -> RecurrentConversion {
        try RecurrentConversionRequest(
          model: desk.path("a.safetensors"), to: .cprnn, rank: rank, calibration: calibration, output: desk.path(name)
        ).run()
      }
      let plain = try convert(rank: 6, calibration: nil, to: "plain.safetensors")
      let fitted = try convert(rank: 6, calibration: desk.training, to: "fitted.safetensors")
      #expect(plain.shape.rank == 6 && plain.discrepancy ?? 1 < 1)
      #expect(plain.discrepancy ?? 1 < fitted.discrepancy ?? 0)
      #expect(try desk.bits("fitted.safetensors") < desk.bits("plain.safetensors"))
      // At full rank, min(n^2, n d), nothing is lost.
      let full = try convert(rank: 144, calibration: nil, to: "full.safetensors")
      #expect(full.discrepancy == nil)
      let (model, same) = (
        try RecurrentFile(path: desk.path("a.safetensors")).model, try RecurrentFile(path: full.output).model
      )
      #expect(same.bilinearTensor.relativeDiscrepancy(from: model.bilinearTensor) <= 1e-6)
      let refused = #expect(throws: Failure.self) {
        try RecurrentConversionRequest(
          model: full.output, to: .mirnn, output: desk.path("no.safetensors")
        ).run()
      }
      #expect(refused?.description.contains("a cprnn has no such form") == true)
    }
  }

  @Test func budgetsAreFilled() throws {
    for kind in RecurrentShape.Kind.allCases {
      let choices = RecurrentBudget.choices(kind, inputs: 101, parameters: 111_000)
      #expect(choices.count == (kind.hasRank ? 4 : 1))
      for shape in choices {
        // One state more, or one product more, would be too many.
        #expect(shape.parameterCount <= 111_000 && shape.parameterCount > 100_000, "\(shape)")
      }
    }
    #expect(RecurrentBudget.choices(.secondOrder, inputs: 101, parameters: 100).isEmpty)
  }

  @Test func contestsReportEveryModel() throws {
    try Desk.with { desk in
      let request = RecurrentContestRequest(
        budgets: [1500, 3000], text: desk.training, test: desk.other, seeds: 2,
        schedule: RecurrentSchedule(epochs: 1, steps: 20, batchSize: 16),
        report: desk.path("r.html"))
      let contest = try request.run()
      #expect(contest.entries.map(\.shape.kind) == RecurrentContestRequest.kinds + RecurrentContestRequest.kinds)
      #expect(contest.entries.allSatisfy { $0.bits.count == 2 && $0.mean?.isFinite == true && $0.spread ?? 0 > 0 })
      try ContestReport(contest).write(overwrite: false)
      let html = String(decoding: try desk.bytes("r.html"), as: UTF8.self)
      #expect(html.components(separatedBy: "<polyline").count == 5)
      #expect(html.components(separatedBy: "<circle").count == 9)
      let single = try RecurrentContestRequest(
        budgets: [1500], text: desk.training, test: desk.other, seeds: 2,
        schedule: RecurrentSchedule(epochs: 1, steps: 20, batchSize: 16),
        report: desk.path("s.html")
      ).run(threads: 1)
      #expect(single.entries.map(\.bits) == Array(contest.entries.map(\.bits).prefix(4)))
    }
  }

  /// A loss that is a number, but one from which nothing recovers.
  @Test func lossesFarAboveUniformGuessingAreDivergence() throws {
    try Desk.with { desk in
      let result = try desk.request(.mirnn, to: "a.safetensors", epochs: 2, rate: 1e6).run()
      #expect(result.divergence?.contains("of uniform guessing") == true, "\(result)")
      #expect(result.epochs.isEmpty && result.bestEpoch == nil)
      #expect(!FileManager.default.fileExists(atPath: desk.path("a.safetensors")))
    }
  }

  /// Trainings that diverge are left out of the comparison and named; the report has what the others came to.
  @Test func contestsGoOnWhereATrainingDiverges() throws {
    try Desk.with { desk in
      // Steps of this length leave the linear parts of some kinds without a number; whichever those are, none ends the others.
      let contest = try RecurrentContestRequest(
        budgets: [1500], text: desk.training, test: desk.other, seeds: 2,
        schedule: RecurrentSchedule(epochs: 2, steps: 20, batchSize: 16, learningRate: 1e30),
        report: desk.path("r.html")
      ).run()
      #expect(contest.entries.count == RecurrentContestRequest.kinds.count)
      #expect(contest.entries.allSatisfy { $0.runs.count == 2 })
      let diverged = contest.entries.map { $0.runs.count - $0.bits.count }.reduce(0, +)
      #expect(diverged > 0 && contest.divergences.count == diverged)
      #expect(contest.json["diverged"]?.bool == true)
      let listed = contest.json["models"]?.array?.compactMap { $0["diverged"]?.array?.count }.reduce(0, +)
      #expect(listed == diverged)
      try ContestReport(contest).write(overwrite: false)
      for name in ["r.html", "r.md"] {
        #expect(String(decoding: try desk.bytes(name), as: UTF8.self).contains("has diverged and is left out"))
      }
    }
  }
}
