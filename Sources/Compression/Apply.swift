import Basics
import Calibration
import Checkpoints
import Formats
import Foundation
import Networks
import Plans
import Running

/// What the user asks `apply` for.
package struct ApplyRequest: Job {
  /// The path of the plan.
  package var plan: String
  /// Where the checkpoint goes; nil puts it beside the original, as `model.compressed.h5`.
  package var output: String?
  /// The HTML report; nil puts it beside the checkpoint, as `model.report.html`. The other two forms lie beside it.
  package var report: String?
  package var overwrite: Bool
  /// Samples in place of those that the plan was made with.
  package var calibration: CalibrationSource?
  /// Whether the kernels that the factors stand for are written, in the original's form, in place of the factors.
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

  /// Carries out the plan: fits every layer, writes the checkpoint, reads it back, and measures layers and network on what was
  /// read.
  ///
  /// - Throws: `Failure`; nothing is left behind then.
  package func run(workers: Workers, progress: ProgressHandler) throws -> ApplyResult {
    let start = ContinuousClock.now
    let work = try ApplyWork(self)
    let fitted = try work.fitted(workers: workers, progress: progress)
    let outcome = fitted.outcome
    let draft = try work.measured(consume fitted, workers: workers, progress: progress)
    let (layers, network) = (draft.layers, draft.network)
    try (consume draft).write(to: work.output, overwrite: overwrite)
    let written = try CheckpointSource(path: work.output).open()
    return ApplyResult(
      plan: work.plan, output: work.output, isDense: dense,
      architecture: work.checkpoint.architecturePath(besides: work.output), bytes: written.byteCount,
      sha256: written.sha256, seconds: (ContinuousClock.now - start).inSeconds, layers: layers,
      network: network, reports: work.reports,
      notices: work.checkpoint.notices + (outcome?.notices ?? []), calibration: outcome)
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
  /// The wall-clock time of the whole job, in seconds.
  package let seconds: Double
  package let layers: [LayerCheck]
  package let network: Draft.NetworkMeasurement
  /// Where the report goes.
  package let reports: ReportPaths
  package let notices: [String]
  /// What calibration came to; nil without calibration samples.
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
      "network": .optional(network.comparison?.worst) {
        [
          "relative_discrepancy": .real($0.relativeDiscrepancy),
          "top1_agreement": .optional($0.topOneAgreement, JSON.real),
          "measured_on": .optional(network.comparison?.source, JSON.string),
        ]
      },
      "calibration": .optional(calibration, \.json),
      "reports": .strings(reports.all), "notices": .strings(notices),
    ]
  }
}

/// A plan with everything that it needs, read and checked.
private struct ApplyWork {
  let plan: PlanDocument
  let checkpoint: Checkpoint
  let output: String
  let reports: ReportPaths
  private let source: CheckpointSource
  private let planned: [PlannedLayer]
  /// What layers are fitted to; nil where there are none to fit.
  private let calibration: CalibrationSource?
  /// What the network is measured on beside random inputs.
  private let samples: CalibrationSource?
  private let isDense: Bool

  /// - Throws: `Failure` where a file cannot be read or written, or the plan does not belong to the checkpoint.
  init(_ request: ApplyRequest) throws {
    plan = try PlanDocument(path: request.plan)
    isDense = request.dense
    let path = PlanDocument.located(plan.checkpoint, besides: request.plan)
    output = request.output ?? (request.dense ? CheckpointPath(path).dense : CheckpointPath(path).compressed)
    let isUsual = request.output == nil && !request.dense
    reports = ReportPaths(html: request.report ?? CheckpointPath(isUsual ? path : output).report)
    source = CheckpointSource(
      path: path,
      companions: Companions(
        graph: plan.options.graph.map { PlanDocument.located($0, besides: request.plan) },
        architecture: plan.options.architecture.map { PlanDocument.located($0, besides: request.plan) },
        stateDict: plan.options.stateDict.located { PlanDocument.located($0, besides: request.plan) }),
      dtype: plan.options.dtype)
    checkpoint = try source.open()
    let outputs = [output, checkpoint.architecturePath(besides: output)].compactMap(\.self)
    try OutputSet(outputs.map { .init($0, option: "-o") } + reports.all.map { .init($0, option: "--report") })
      .check(
        inputs: [(path, "the original checkpoint"), (request.plan, "the plan")] + source.companions.inputs,
        overwrite: request.overwrite)
    planned = try plan.validated(against: checkpoint, planPath: request.plan)
    try plan.checkBudget(planned, checkpoint, planPath: request.plan)
    var calibration = request.calibration ?? plan.options.calibration
    if let path = calibration?.path { calibration?.path = PlanDocument.located(path, besides: request.plan) }
    samples = calibration
    self.calibration = planned.isEmpty ? nil : calibration
  }

  /// The weights of every layer that the plan compresses, with what they came to on calibration samples where there are some.
  func fitted(workers: Workers, progress: ProgressHandler) throws -> FittedPlan {
    guard let calibration else {
      return FittedPlan(
        layers: try planned.compressed(of: checkpoint, seed: plan.options.seed, workers: workers, progress: progress))
    }
    let names = Set(planned.map(\.layer.name))
    let keep = plan.options.keep.map { Glob($0) }
    let dense = checkpoint.layers.filter { layer in
      layer.refusal == nil && !names.contains(layer.name) && !keep.contains { $0.matches(layer.name) }
    }
    return try NetworkKinds.of(checkpoint).calibrator(calibration, workers: workers)
      .fit(planned, following: dense, seed: plan.options.seed, progress: progress)
  }

  /// The checkpoint to write, measured on a draft.
  func measured(_ fitted: consuming FittedPlan, workers: Workers, progress: ProgressHandler) throws -> Draft {
    var replacements = zip(planned, fitted.layers).map { item, fitted in
      fitted.rounded.isEmpty
        ? Replacement(
          layer: item.layer.name, structure: item.structure, stages: item.stages, weights: fitted.weights)
        : Replacement(
          layer: item.layer.name, structure: item.structure, stages: item.stages, rounded: fitted.rounded)
    }
    fitted.layers = []
    let kind = NetworkKinds.of(checkpoint)
    var record = try Record(
      replacing: replacements, in: checkpoint, architecture: plan.options.architecture,
      canRun: kind.runsOnRandomInputs, hasSamples: samples != nil && kind.comparesOnData, plan: plan)
    if plan.options.calibration == nil, record.sampleDiscrepancy != nil, let allowed = plan.budget[count: .bytes],
      try checkpoint.byteCount(replacing: replacements, record: record.json) > allowed
    {
      // The plan knew of no samples and left no room to remember what was measured on them.
      record.sampleDiscrepancy = nil
    }
    // Fits on samples and rounding trade the kernel's own discrepancy for that of the outputs; what is promised is what was made.
    let promisesAnew = calibration != nil || planned.contains { $0.storage != .float }
    let target =
      promisesAnew
      ? try checkpoint.substituting(kernels: fitted.kernels).substituting(offsets: fitted.offsets) : checkpoint
    var draft = Draft(target, replacing: replacements, record: record)
    // The draft alone holds the weights, until it has written them.
    replacements = []
    // What was asked for is compared with what was there, in the types that it had.
    let original =
      source.dtype == nil ? checkpoint : try CheckpointSource(path: source.path, companions: source.companions).open()
    try draft.measure(
      against: original, Companions(graph: source.companions.graph), seed: plan.options.seed,
      samples: Samples.usualRandomCount, data: samples, promisesAnew: promisesAnew, workers: workers,
      progress: progress)
    if isDense { try draft.compose() }
    return draft
  }
}
