import Basics
import Checkpoints
import Decompositions
import Formats
import Foundation
import ModelGraph
import TensorCore

/// What the user asks `apply` for.
package struct ApplyRequest: Sendable {
  package var plan: String
  /// Nil puts the result beside the checkpoint, as `model.compressed.h5`.
  package var output: String?
  /// The HTML report; nil puts it beside the checkpoint, as `model.report.html`. The other two forms lie beside it.
  package var report: String?
  package var overwrite: Bool
  /// Samples in place of those that the plan was made with.
  package var calibration: CalibrationSource?
  /// Write the kernels that the factors stand for, in the original's form, in place of the factors.
  package var dense: Bool

  package init(
    plan: String, output: String? = nil, report: String? = nil, overwrite: Bool = false, dense: Bool = false,
    calibration: CalibrationSource? = nil
  ) {
    self.calibration = calibration
    self.dense = dense
    self.plan = plan
    self.output = output
    self.report = report
    self.overwrite = overwrite
  }
}

/// What `apply` did and measured.
package struct ApplyResult: Sendable {
  package let plan: PlanDocument
  package let output: String
  /// Whether the file has the original's form, and the budget is not its.
  package let isDense: Bool
  /// What was written beside weights without an architecture.
  package let architecture: String?
  package let bytes: Int
  package let sha256: String
  /// Wall-clock time.
  package let seconds: Double
  package let layers: [LayerCheck]
  /// Nil where the network cannot be run.
  package let network: OutputComparison?
  /// Why `network` is nil.
  package let networkAbsence: String?
  /// What the network was run on.
  package let samples: String?
  package let reports: [String]
  package let notices: [String]
  /// Nil without calibration samples.
  package let calibration: CalibrationOutcome?

  package var json: JSON {
    [
      "output": .string(output), "bytes": .integer(bytes), "sha256": .string(sha256),
      "seconds": .real((seconds * 1000).rounded() / 1000),
      "layers": .array(
        layers.map {
          [
            "name": .string($0.name), "structure": .string($0.structure),
            "discrepancy": .optional($0.discrepancy, JSON.real),
            "loss": .optional(calibration?.layerLosses[$0.name], JSON.real),
          ]
        }),
      "network": .optional(network) {
        [
          "relative_discrepancy": .real($0.relativeDiscrepancy),
          "top1_agreement": .optional($0.topOneAgreement, JSON.real),
        ]
      },
      "calibration": .optional(calibration, \.json),
      "reports": .strings(reports), "notices": .strings(notices),
    ]
  }
}

/// The random samples on which `apply` measures a network and `verify` repeats the measurement.
let randomSampleCount = 16

/// Carries out a plan: fits every layer, writes the checkpoint, reads it back, and measures layers and network on what was read.
///
/// - Throws: `Failure`; nothing is left behind then.
package func apply(
  _ request: ApplyRequest, workers: Workers, progress: Progress = .silent
) throws -> ApplyResult {
  let start = ContinuousClock.now
  let plan = try PlanDocument(path: request.plan)
  let path = locate(plan.checkpoint, besides: request.plan)
  let output = request.output ?? (request.dense ? CheckpointPath(path).dense : CheckpointPath(path).compressed)
  let isUsual = request.output == nil && !request.dense
  let reports = ReportPaths(html: request.report ?? CheckpointPath(isUsual ? path : output).report)
  let source = CheckpointSource(
    path: path,
    companions: Companions(
      graph: plan.options.graph.map { locate($0, besides: request.plan) },
      architecture: plan.options.architecture.map { locate($0, besides: request.plan) }),
    dtype: plan.options.dtype)
  let checkpoint = try source.open()
  let outputs = [output, checkpoint.architecturePath(besides: output)].compactMap(\.self)
  try OutputSet(outputs.map { .init($0, option: "-o") } + reports.all.map { .init($0, option: "--report") })
    .check(
      inputs: [(path, "the original checkpoint"), (request.plan, "the plan")] + source.companions.inputs,
      overwrite: request.overwrite)
  let planned = try plan.validated(against: checkpoint, planPath: request.plan)
  try plan.checkBudget(planned, checkpoint, planPath: request.plan)
  var calibration = request.calibration ?? plan.options.calibration
  if let path = calibration?.path { calibration?.path = locate(path, besides: request.plan) }
  let fitted = try fit(
    planned.map { PlannedLayer(layer: $0.layer, candidate: $0.candidate) }, checkpoint, calibration,
    keep: plan.options.keep.map { Glob($0) }, seed: plan.options.seed, workers: workers, progress: progress)
  let replacements = fitted.replacements
  var record = try Record(
    replacing: replacements, in: checkpoint, architecture: plan.options.architecture, plan: plan)
  // Fits on samples trade the kernel's own discrepancy for that of the outputs; what is promised is what was made.
  if calibration != nil {
    record.promise(
      Dictionary(zip(replacements.map(\.layer), fitted.layers.map(\.discrepancy))) { first, _ in first })
  }
  let target =
    calibration == nil
    ? checkpoint : try checkpoint.substituting(kernels: fitted.kernels).substituting(offsets: fitted.offsets)
  let measured = try measure(
    replacements, record: &record, checkpoint, target, source, seed: plan.options.seed, workers: workers,
    progress: progress)
  if request.dense {
    try target.substituting(kernels: record.kernels(of: replacements))
      .write(replacing: [], record: nil, to: output, overwrite: request.overwrite)
  } else {
    try target.write(
      replacing: replacements, record: record.json, to: output, overwrite: request.overwrite)
  }
  let written = try CheckpointSource(path: output).open()

  let elapsed = ContinuousClock.now - start
  let result = ApplyResult(
    plan: plan, output: output, isDense: request.dense,
    architecture: checkpoint.architecturePath(besides: output), bytes: written.byteCount, sha256: written.sha256,
    seconds: elapsed.inSeconds,
    layers: measured.layers, network: measured.network, networkAbsence: measured.absence,
    samples: measured.samples, reports: reports.all, notices: checkpoint.notices + (fitted.outcome?.notices ?? []),
    calibration: fitted.outcome)
  try Report(result).write(to: reports, overwrite: request.overwrite)
  return result
}

/// A file that a plan names: as given, else beside the plan.
private func locate(_ path: String, besides plan: String) -> String {
  if FileManager.default.fileExists(atPath: path) { return path }
  let folder = plan.folderPath
  let beside = (folder as NSString).appendingPathComponent((path as NSString).lastPathComponent)
  return FileManager.default.fileExists(atPath: beside) ? beside : path
}

/// What a plan became.
private struct FittedPlan {
  let replacements: [Replacement]
  let layers: [FittedLayer]
  /// The kernels of dense layers that changed, by layer.
  let kernels: [String: Tensor<Double>]
  /// Biases and means that changed.
  let offsets: [TensorReference: Tensor<Double>]
  /// Nil without calibration samples.
  let outcome: CalibrationOutcome?
}

/// The weights of every layer that the plan compresses, with what they came to on calibration samples where there are some.
private func fit(
  _ planned: [PlannedLayer], _ checkpoint: Checkpoint, _ calibration: CalibrationSource?, keep: [Glob], seed: UInt64,
  workers: Workers, progress: Progress
) throws -> FittedPlan {
  var outcome: CalibrationOutcome?
  var offsets: [TensorReference: Tensor<Double>] = [:]
  var kernels: [String: Tensor<Double>] = [:]
  let layers: [FittedLayer]
  let (samples, text) = try (planned.isEmpty ? nil : calibration)?.read(for: checkpoint, workers: workers) ?? (nil, nil)
  if let samples {
    let names = Set(planned.map(\.layer.name))
    let dense = checkpoint.layers.filter { layer in
      layer.refusal == nil && !names.contains(layer.name) && !keep.contains { $0.matches(layer.name) }
    }
    let result = try samples.fit(planned, following: dense, seed: seed, progress: progress)
    kernels = result.network.kernels
    (layers, outcome, offsets) = (result.network.layers, result.outcome, result.network.offsets)
  } else {
    let counter = Counter()
    layers = try workers.map(planned) { item in
      let fitted = try item.candidate.fit(
        try checkpoint.kernel(of: item.layer), norm: text?.norms[item.layer.name], seed: seed)
      progress("fit", counter.next(), of: planned.count, item.layer.name)
      return fitted
    }
    if let text, let item = planned.first, let fitted = layers.first {
      offsets = try text.offsets(
        of: checkpoint, error: try checkpoint.kernel(of: item.layer).subtracting(fitted.reconstruct()))
    }
  }
  let replacements = zip(planned, layers).map { item, fitted in
    Replacement(
      layer: item.layer.name, structure: item.candidate.structure, stages: item.candidate.stages,
      weights: fitted.weights)
  }
  return FittedPlan(
    replacements: replacements, layers: layers, kernels: kernels, offsets: offsets, outcome: outcome)
}

/// What was measured on the file as written.
private struct Measurement {
  var layers: [LayerCheck]
  var network: OutputComparison?
  var absence: String?
  var samples: String?
}

/// Writes a first version in a temporary folder, reads it back and measures it; what it measured on the network goes to the record.
private func measure(
  _ replacements: [Replacement], record: inout Record, _ checkpoint: Checkpoint, _ target: Checkpoint,
  _ source: CheckpointSource,
  seed: UInt64, workers: Workers, progress: Progress
) throws -> Measurement {
  let folder = FileManager.default.temporaryDirectory
    .appendingPathComponent("kcompress-\(ProcessInfo.processInfo.globallyUniqueString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  let draft = folder.appendingPathComponent((CheckpointPath(checkpoint.path).compressed as NSString).lastPathComponent)
    .path
  try target.write(replacing: replacements, record: record.json, to: draft, overwrite: false)
  let compressed = try CheckpointSource(path: draft, companions: Companions(graph: source.companions.graph)).open()
  // What was asked for is compared with what was there, in the types that it had.
  let original =
    source.dtype == nil ? checkpoint : try CheckpointSource(path: source.path, companions: source.companions).open()

  var result = Measurement(layers: [])
  result.layers = try record.checkLayers(
    in: compressed, original: original, seed: seed, workers: workers, progress: progress)
  if original.isRecurrent {
    let sequences = Sequences(seed: seed, symbols: try RecurrentFile(original).model.shape.inputs)
    let comparison = sequences.compare(try RecurrentFile(compressed).model, try RecurrentFile(original).model)
    (result.samples, result.network) = (sequences.source, comparison)
    record.network = Record.NetworkRecord(
      samples: sequences.segment.rows, seed: seed, relativeDiscrepancy: comparison.relativeDiscrepancy)
    return result
  }
  do {
    let before = try Network(original, workers: workers)
    let after = try Network(compressed, workers: workers)
    let samples = try Samples(seed: seed, count: randomSampleCount, for: before.graph)
    result.samples = samples.source
    result.network = try compare(after, before, samples, progress: progress)
    record.network = Record.NetworkRecord(
      samples: samples.count, seed: seed,
      relativeDiscrepancy: result.network?.relativeDiscrepancy ?? .nan)
  } catch let failure as Failure {
    record.network = nil
    result.absence = failure.reason
  }
  return result
}
