import Basics
import Checkpoints
import Compression
import Formats
import Foundation
import Hashing
import Plans
import Running
import Training

/// What `tune` did and measured.
package struct TuneResult: Sendable {
  package let output: String
  /// Nil for a dry run, as everything that a run makes.
  package internal(set) var bytes: Int?
  package internal(set) var sha256: String?
  package internal(set) var epochs: [TuneEpoch] = []
  package internal(set) var bestEpoch: Int?
  /// Why it ended before its last epoch.
  package internal(set) var ending: String?
  /// Whether it ended because its loss became no number.
  package internal(set) var diverged = false
  package let temperature: Double?
  /// Numbers that are trained, and all of the network's.
  package let trained: Int
  package let parameters: Int
  package let memory: TuneMemory
  package internal(set) var notices: [String]

  package var json: JSON {
    [
      "output": .string(output), "bytes": .optional(bytes, JSON.integer), "sha256": .optional(sha256, JSON.string),
      "best_epoch": .optional(bestEpoch, JSON.integer), "ending": .optional(ending, JSON.string),
      "diverged": .bool(diverged), "temperature": .optional(temperature, JSON.real), "trained": .integer(trained),
      "parameters": .integer(parameters), "memory": memory.json, "epochs": .array(epochs.map(\.json)),
      "notices": .strings(notices),
    ]
  }
}

extension TuneRequest: Job {
  /// Trains a checkpoint's network on the outputs of its original, on labels or on both, and writes a checkpoint of the same form.
  ///
  /// - Throws: `Failure`; what an interrupted run had reached stays in a file beside the output.
  package func run(workers: Workers, progress: ProgressHandler) throws -> TuneResult {
    let source = CheckpointSource(path: checkpoint, companions: companions)
    let checkpoint = try source.open()
    let record = try checkpoint.compressionRecord()
    let original = try Original(of: self.checkpoint, record, given: self.original, companions)
    let output = output ?? CheckpointPath(self.checkpoint).tuned
    let file = try stateFile(output, checkpoint, original.checkpoint)
    if !isDry { try checkOutputs(output, file, checkpoint, original.checkpoint) }

    let weights = try TrainedWeights(checkpoint, try checkpoint.trainableGraph, record, self)
    let tuning = try Tuning(self, checkpoint, original.checkpoint, weights, workers: workers)
    var result = TuneResult(
      output: output, temperature: tuning.loss.temperature,
      trained: weights.parameters.values.reduce(0) { $0 + $1.count }, parameters: checkpoint.parameterCount,
      memory: try TuneMemory(tuning, weights, checkpoint, original.checkpoint),
      notices: tuning.notices
        + (original.missing.map {
          [
            "the original '\($0)' is not at hand: labels alone teach, and what apply promised of it stays (give it with --original)"
          ]
        } ?? []))
    if isDry { return result }

    var state = TuneState(
      weights: weights,
      optimizer: Optimizer(optimizer, decay: Float(weightDecay), undecayed: weights.vectors), best: weights,
      plateau: PlateauHalving(patience: 2))
    if resumes { try state.resume(from: file) }
    result.ending = try tuning.run(&state, file, progress: progress)
    result.diverged = state.epochs.last?.loss?.isFinite == false
    var draft = Draft(try checkpoint.substituting(offsets: state.best.changed), record: record)
    // What is measured is what the file holds, in its types.
    try draft.measure(
      against: original.checkpoint, companions, seed: record?.network?.seed ?? 0,
      samples: record?.network?.samples ?? Samples.usualRandomCount,
      data: record?.sampleDiscrepancy.map { _ in CalibrationSource(path: data, preparation: preparation) },
      promisesAnew: true,
      again: true,
      workers: workers, progress: progress)
    try draft.write(to: output, overwrite: overwrite)
    file.remove()
    let written = try CheckpointSource(path: output).open()
    result.bytes = written.byteCount
    result.sha256 = written.sha256
    result.epochs = state.epochs
    result.bestEpoch = state.bestEpoch
    return result
  }

  /// The file beside the output from which an interrupted run goes on.
  private func stateFile(
    _ output: String, _ checkpoint: Checkpoint, _ original: Checkpoint?
  ) throws -> RunStateFile {
    var options = options
    options["checkpoint"] = .string(checkpoint.sha256)
    options["original"] = .optional(original?.sha256, JSON.string)
    options["data"] = .string(SHA256.hexadecimal(of: try InputFile.read(data)))
    return RunStateFile(path: output + ".tuning", schema: TuneState.schema, options: options)
  }

  /// - Throws: `Failure` where an output may not be written, or an unfinished run would be lost.
  private func checkOutputs(
    _ output: String, _ file: RunStateFile, _ checkpoint: Checkpoint, _ original: Checkpoint?
  ) throws {
    let outputs = [output, checkpoint.architecturePath(besides: output)].compactMap(\.self)
    try OutputSet(outputs.map { .init($0, option: "-o") }).check(
      inputs: [(self.checkpoint, "the checkpoint"), (data, "the data")]
        + (original.map { [($0.path, "the original")] } ?? [])
        + (test.map { [($0, "the data of --test")] } ?? []) + companions.inputs,
      overwrite: overwrite)
    if file.exists, !resumes, !overwrite {
      throw Failure(
        file.path, "is not overwritten", "it holds an unfinished run",
        remedy: "go on with it with --resume, or begin anew with --overwrite")
    }
  }
}

extension Tuning {
  /// Trains until the last epoch, or until there is no more progress.
  ///
  /// - Returns: why it ended early; nil where it did not.
  fileprivate func run(_ state: inout TuneState, _ file: RunStateFile, progress: ProgressHandler) throws -> String? {
    if state.epochs.isEmpty {
      state.epochs.append(try judge.epoch(0, state.weights, trainingLoss: nil))
      try state.write(to: file)
    }
    let start = ContinuousClock.now
    let before = state.epochs.last?.seconds ?? 0
    let first = state.epochs.count - 1
    let total = request.epochs * stepsPerEpoch
    for epoch in first..<max(first, request.epochs) {
      if let patience = request.patience, epoch - state.bestEpoch >= patience {
        return "\(patience) epochs brought no progress on the samples held out"
      }
      let agreement = state.epochs.last?.agreement
      let loss = try train(&state, epoch: epoch) { done, loss in
        let steps = epoch * stepsPerEpoch + done
        let spent = (ContinuousClock.now - start).inSeconds
        let left = spent / Double(max(1, steps - first * stepsPerEpoch)) * Double(total - steps)
        progress("tune", steps, of: total, Self.status(loss, agreement, left))
      }
      guard loss.isFinite else {
        state.epochs.append(
          TuneEpoch(
            number: epoch + 1, seconds: before + (ContinuousClock.now - start).inSeconds, loss: .nan,
            heldOutLoss: .infinity,
            agreement: nil, heldOutAccuracy: nil, testAccuracy: nil))
        return "the loss became no number in epoch \(epoch + 1); the state of epoch \(state.bestEpoch) was kept "
          + "(lower --learning-rate, now \(request.learningRate), or set --clip)"
      }
      var measured = try judge.epoch(epoch + 1, state.weights, trainingLoss: loss)
      measured.seconds = before + (ContinuousClock.now - start).inSeconds
      state.epochs.append(measured)
      state.plateau.observe(measured.heldOutLoss)
      if measured.heldOutLoss < state.epochs[state.bestEpoch].heldOutLoss {
        state.best = state.weights
        state.bestEpoch = epoch + 1
      }
      try state.write(to: file)
    }
    return nil
  }

  /// `0.1234, 91.2 %, 12:31 left`
  private static func status(_ loss: Double, _ agreement: Double?, _ left: Double) -> String {
    let time = String(format: "%d:%02d left", Int(left) / 60, Int(left) % 60)
    return [Format.number(loss), agreement.map(Format.percent), time].compactMap(\.self).joined(separator: ", ")
  }
}
