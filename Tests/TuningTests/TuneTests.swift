import Basics
import Checkpoints
import Compression
import Formats
import Foundation
import Inference
import Planning
import Running
import TensorCore
import TestSupport
import Testing
import Training

@testable import Tuning

@Suite struct TuneTests {
  private static let calibration = TestPath.fixture("digits.calibration.npz")

  /// A compressed form of the fixture network, in a folder.
  private static func compressed(in folder: String) throws -> String {
    let checkpoint = folder + "/digits.h5"
    try FileManager.default.copyItem(atPath: TestPath.fixture("digits.h5"), toPath: checkpoint)
    let path = folder + "/digits.plan.json"
    let result = try PlanRequest(checkpoint: checkpoint, budget: [.bytes: 60_000], output: path).run()
    guard result.isPositive else { throw Failure("digits.h5", "has no plan", "60 kB are too few") }
    return try ApplyRequest(plan: path).run().output
  }

  private static func request(_ checkpoint: String, epochs: Int = 3) -> TuneRequest {
    var request = TuneRequest(checkpoint: checkpoint, data: calibration)
    request.epochs = epochs
    request.batchSize = 40
    request.learningRate = 1e-3
    request.overwrite = true
    return request
  }

  @Test(arguments: TuneMethod.allCases)
  func bringsTheOutputsNearer(_ method: TuneMethod) throws {
    try withTemporaryFolder { folder in
      let compressed = try Self.compressed(in: folder)
      var request = Self.request(compressed, epochs: 6)
      request.method = method
      request.ranks = [RankRule(amount: 2)]
      let result = try request.run()
      let (first, best) = (result.epochs[0], result.epochs[try #require(result.bestEpoch)])
      #expect(best.heldOutLoss < 0.9 * first.heldOutLoss, "\(method): \(first.heldOutLoss) became \(best.heldOutLoss)")
      let verdict = try VerifyRequest(checkpoint: result.output).run()
      #expect(verdict.verdict == .passed, "\(verdict.failures)")
      let (before, after) = (try Checkpoint.open(compressed), try Checkpoint.open(result.output))
      #expect(before.tensors.map(\.name) == after.tensors.map(\.name))
      #expect(before.tensors.map(\.shape) == after.tensors.map(\.shape))
    }
  }

  /// Nothing but values inside the network differs between the two runs.
  @Test func featuresBringTheInsideNearer() throws {
    try withTemporaryFolder { folder in
      let compressed = try Self.compressed(in: folder)
      let original = try Checkpoint.open(folder + "/digits.h5")
      let graph = try #require(try Checkpoint.open(compressed).graph)
      let features = graph.features(sharedWith: try #require(original.graph))
      #expect(!features.isEmpty && Set(features).isDisjoint(with: graph.outputs.map(\.value)))
      let inputs = try Samples(file: Self.calibration, for: graph, SamplePreparation()).inputs
      func inside(_ checkpoint: Checkpoint) throws -> [Tensor<Float>] {
        let engine = try Engine(try #require(checkpoint.graph).showing(features)) { try checkpoint.parameter($0) }
        return Array(try engine.run(inputs).dropFirst(graph.outputs.count))
      }
      let wanted = try inside(original)
      let errors = try [0, 100.0].map { factor in
        var request = Self.request(compressed, epochs: 6)
        request.features = factor
        let found = try inside(try Checkpoint.open(try request.run().output))
        return zip(found, wanted).reduce(0) { $0 + $1.0.subtracting($1.1).squaredNorm / $1.1.squaredNorm }
      }
      #expect(errors[1] < 0.9 * errors[0], "\(errors)")
    }
  }

  /// What the original said of a view the first time is what it would say again: but for rounding, nothing depends on asking it once.
  @Test func askingOnceTeachesTheSame() throws {
    try withTemporaryFolder { folder in
      let compressed = try Self.compressed(in: folder)
      var request = Self.request(compressed, epochs: 3)
      request.augmentations = [.crop, .flip]
      let always = try request.run()
      request.views = 3
      let once = try request.run()
      for (a, b) in zip(always.epochs, once.epochs) {
        #expect(abs(a.heldOutLoss - b.heldOutLoss) <= 1e-3 * a.heldOutLoss)
      }
      #expect(once.memory.items.contains { $0.name == "original outputs" && $0.bytes > 0 })
      request.views = 1
      let same = try request.run()
      #expect(same.epochs[1].loss == once.epochs[1].loss && same.epochs[2].loss != once.epochs[2].loss)
    }
  }

  @Test func threadsDoNotChangeTheWeights() throws {
    try withTemporaryFolder { folder in
      let compressed = try Self.compressed(in: folder)
      var hashes: [String?] = []
      for count in [1, 2] {
        var request = Self.request(compressed, epochs: 2)
        request.batchSize = 80
        request.augmentations = [.crop, .mixup]
        hashes.append(try request.run(threads: count).sha256)
      }
      #expect(hashes[0] != nil && hashes[0] == hashes[1])
    }
  }

  /// Two epochs, a file, a new start from it: the same as four in one go.
  @Test(arguments: [TuneMethod.full, .rosa])
  func goesOnAsIfNothingHadHappened(_ method: TuneMethod) throws {
    try withTemporaryFolder { folder in
      let compressed = try Self.compressed(in: folder)
      var request = Self.request(compressed, epochs: 4)
      request.method = method
      request.augmentations = [.crop, .flip]
      request.views = method == .full ? 3 : nil
      let checkpoint = try Checkpoint.open(compressed)
      let original = try Checkpoint.open(folder + "/digits.h5")
      let weights = try TrainedWeights(
        checkpoint, try #require(checkpoint.graph), try checkpoint.compressionRecord(), request)
      let tuning = try Tuning(request, checkpoint, original, weights, workers: Workers(count: 2))
      func begin() -> TuneState {
        TuneState(
          weights: weights, optimizer: Optimizer(request.optimizer), best: weights, plateau: PlateauHalving(patience: 2)
        )
      }
      func run(_ epochs: Range<Int>, _ state: inout TuneState) throws {
        for epoch in epochs {
          #expect(try tuning.train(&state, epoch: epoch) { _, _ in }.isFinite)
          state.epochs.append(try tuning.judge.epoch(epoch + 1, state.weights, trainingLoss: 1))
        }
      }
      var whole = begin()
      try run(0..<4, &whole)
      var part = begin()
      try run(0..<2, &part)
      let file = RunStateFile(path: folder + "/out.h5.tuning", schema: TuneState.schema, options: request.options)
      try part.write(to: file)
      var resumed = begin()
      try resumed.resume(from: file)
      try run(2..<4, &resumed)
      #expect(resumed.weights.parameters == whole.weights.parameters)
      #expect(resumed.weights.frozen == whole.weights.frozen)
      #expect(resumed.optimizer == whole.optimizer)
    }
  }

  @Test func otherOptionsAreRefused() throws {
    try withTemporaryFolder { folder in
      let compressed = try Self.compressed(in: folder)
      var request = Self.request(compressed)
      request.overwrite = false
      let output = CheckpointPath(compressed).tuned
      let options = request.options
      let checkpoint = try Checkpoint.open(compressed)
      let weights = try TrainedWeights(checkpoint, try #require(checkpoint.graph), nil, request)
      var state = TuneState(
        weights: weights, optimizer: Optimizer(.adamW), best: weights, plateau: PlateauHalving(patience: 2))
      state.epochs = [
        TuneEpoch(
          number: 0, seconds: 0, loss: nil, heldOutLoss: 1, agreement: nil, heldOutAccuracy: nil, testAccuracy: nil)
      ]
      try state.write(to: RunStateFile(path: output + ".tuning", schema: TuneState.schema, options: options))
      #expect { try request.run(threads: 1) } throws: { "\($0)".contains("--resume") }
      request.resumes = true
      request.learningRate = 0.5
      #expect { try request.run(threads: 1) } throws: {
        "\($0)".contains("learning_rate was 0.001 and is 0.5")
      }
    }
  }

  /// Taken up from the state after any of its epochs, the last one too, a run that ends early ends in the same bytes.
  @Test(arguments: [TuneSchedule.constant, .cosine, .plateau])
  func patienceEndsAnyResumedRunAlike(_ schedule: TuneSchedule) throws {
    try withTemporaryFolder { folder in
      let compressed = try Self.compressed(in: folder)
      var request = Self.request(compressed, epochs: 40)
      request.learningRate = 0.02
      request.schedule = schedule
      request.patience = 2
      request.statistics = schedule == .constant ? .batch : .stored
      let state = CheckpointPath(compressed).tuned + ".tuning"
      // The state that a step finds is that after the epochs before.
      let whole = try request.run(
        workers: Workers(count: 2),
        progress: ProgressHandler { event in
          // When the result is measured, the last epoch's state is still there.
          let copy = folder + "/state-\(event.task == "tune" ? event.done : Int.max)"
          try? FileManager.default.copyItem(atPath: state, toPath: copy)
        })
      let best = try #require(whole.bestEpoch)
      #expect(whole.ending?.contains("2 epochs") == true && whole.epochs.count == best + 3)
      let steps = try FileManager.default.contentsOfDirectory(atPath: folder)
        .compactMap { $0.hasPrefix("state-") ? Int($0.dropFirst(6)) : nil }.sorted()
      #expect(steps.last == .max)
      request.resumes = true
      for step in [steps[0], steps[steps.count / 2], steps[steps.count - 1]] {
        try FileManager.default.copyItem(atPath: folder + "/state-\(step)", toPath: state)
        let resumed = try request.run()
        #expect(resumed.sha256 == whole.sha256 && resumed.epochs.count == whole.epochs.count, "from step \(step)")
      }
    }
  }

  @Test func divergenceKeepsTheBest() throws {
    try withTemporaryFolder { folder in
      let compressed = try Self.compressed(in: folder)
      var request = Self.request(compressed, epochs: 30)
      request.optimizer = .descent(momentum: 0, nesterov: false)
      request.learningRate = 1e20
      request.schedule = .constant
      request.clip = nil
      let result = try request.run()
      #expect(result.diverged && result.ending?.contains("--learning-rate") == true)
      let best = try #require(result.bestEpoch)
      #expect(result.epochs[best].heldOutLoss <= result.epochs[0].heldOutLoss)
      #expect(try Checkpoint.open(result.output).tensors.allSatisfy { try $0.decoded(as: Float.self).isFinite })
    }
  }

  /// What would be ignored, or would do something else than what is asked for, is refused.
  @Test func refusesWhatWouldDoNothing() throws {
    try withTemporaryFolder { folder in
      let compressed = try Self.compressed(in: folder)
      func refusal(_ change: (inout TuneRequest) -> Void) -> String {
        var request = Self.request(compressed)
        change(&request)
        let failure = #expect(throws: Failure.self) { try request.run(threads: 1) }
        return failure?.description ?? ""
      }
      #expect(refusal { $0.output = folder + "/digits.h5" }.contains("the original"))
      #expect(
        refusal { request in
          request.test = Self.calibration
        }.contains("no 'labels'"))
      #expect(
        refusal { request in
          request.method = .lora
          request.ranks.append(RankRule(layers: Glob("nowhere*"), amount: 2))
        }.contains("nowhere*"))
      #expect(
        refusal { request in
          (request.original, request.usesLabels, request.features) = (nil, true, 1)
          request.checkpoint = folder + "/digits.h5"
          request.data = TestPath.fixture("digits.reference.npz")
          request.output = folder + "/out.h5"
        }.contains("no features"))
    }
  }

  @Test func labelsTeachWithoutAnOriginal() throws {
    try withTemporaryFolder { folder in
      let reference = try DataFile.read(TestPath.fixture("digits.reference.npz"))
      let data = folder + "/data.npz"
      try DataFile.writeNumPyArchive(reference.filter { $0.name != "outputs" }, to: data, overwrite: false)
      var request = TuneRequest(checkpoint: TestPath.fixture("digits.h5"), data: data)
      request.output = folder + "/out.h5"
      request.epochs = 1
      #expect(throws: Failure.self) { try request.run() }
      request.usesLabels = true
      #expect(try request.run().epochs.last?.heldOutAccuracy != nil)
    }
  }

  private func dry(_ request: TuneRequest) throws -> TuneResult {
    var request = request
    request.isDry = true
    return try request.run()
  }

  @Test func countsItsMemoryWithoutTraining() throws {
    try withTemporaryFolder { folder in
      let compressed = try Self.compressed(in: folder)
      var request = Self.request(compressed)
      let full = try dry(request)
      #expect(full.epochs.isEmpty && !FileManager.default.fileExists(atPath: full.output))
      request.method = .rosa
      request.ranks = [RankRule(amount: 1)]
      let rosa = try dry(request)
      func bytes(_ result: TuneResult, _ name: String) -> Int {
        result.memory.items.first { $0.name == name }?.bytes ?? 0
      }
      for name in ["gradients", "optimiser"] { #expect(0 < bytes(rosa, name) && bytes(rosa, name) < bytes(full, name)) }
    }
  }
}
