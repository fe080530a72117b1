import Basics
import Checkpoints
import Decompositions
import ModelGraph
import Planning
import TensorCore

/// What the user asks `plan` for.
public struct PlanRequest: Sendable {
  /// As the user gave it.
  public var checkpoint: String
  /// The bytes that the file may have.
  public var budget: Int
  /// The structures to try; empty for all.
  public var structures: [String]
  /// Layers whose names match one of these globs stay dense.
  public var keep: [Glob]
  public var seed: UInt64
  public var companions: Companions
  /// The type in which the file stores numbers; nil keeps each tensor's own.
  public var dtype: DType?
  /// Samples of what the network will see; nil plans in the norm of the weights.
  public var calibration: CalibrationSource?
  /// The folder that keeps what sweeps found, for the next plan of the same network; nil keeps nothing.
  public var cache: String?

  /// The structures that there are.
  public static var knownStructures: [String] { Structures.all.map(\.name) }

  public init(
    checkpoint: String, budget: Int, structures: [String] = [], keep: [Glob] = [],
    seed: UInt64 = 0, companions: Companions = Companions(), dtype: DType? = nil,
    calibration: CalibrationSource? = nil, cache: String? = nil
  ) {
    self.checkpoint = checkpoint
    self.budget = budget
    self.structures = structures.isEmpty ? Self.knownStructures : structures
    self.keep = keep
    self.seed = seed
    self.companions = companions
    self.dtype = dtype
    self.calibration = calibration
    self.cache = cache
  }
}

/// What `plan` found: a plan, or the proof that none fits.
public enum PlanOutcome: Sendable {
  case plan(PlanDocument)
  /// No plan fits; the smallest file that can be reached has this size, and these layers or tensors hold it up.
  case infeasible(smallest: Int, heldUpBy: [String])
}

/// Makes a plan: sweeps every layer for candidates, then chooses one for each so that the file fits and the loss is least.
///
/// With samples the loss is what the layers' discrepancies do to the network's outputs, as `Sensitivity` measures it. Without, it is
/// the sum of the squared relative discrepancies of the kernels: to first order the noise that the layers add to a network whose
/// activations are normalised.
public func plan(
  _ request: PlanRequest, workers: Workers, progress: Progress = .silent
) throws -> (outcome: PlanOutcome, notices: [String]) {
  let checkpoint = try CheckpointSource(
    path: request.checkpoint, companions: request.companions, dtype: request.dtype
  ).open()
  guard checkpoint.record == nil else {
    throw Failure(
      request.checkpoint, "is not planned", "kcompress has compressed it already",
      remedy: "plan the original checkpoint")
  }
  for glob in request.keep where !checkpoint.layers.contains(where: { glob.matches($0.name) }) {
    throw Failure(
      "--keep '\(glob.pattern)'", "matches no layer", "'\(request.checkpoint)' has none of such a name",
      remedy: "kcompress inspect lists the layers")
  }
  let recurrent = try request.calibration?.recurrentCalibration(of: checkpoint, workers: workers)
  let calibration =
    recurrent == nil ? try request.calibration.map { try $0.calibration(of: checkpoint, workers: workers) } : nil
  let choices = try LayerSweep(checkpoint, request, calibration, norms: recurrent?.norms ?? [:], workers: workers)
    .choices(progress: progress)
  return (
    try choose(among: choices, checkpoint, request),
    checkpoint.notices + (calibration?.notices(on: choices) ?? [])
  )
}

/// The points of the frontier that a plan keeps.
private let frontierCount = 60

/// Chooses one candidate, or the dense kernel, for each layer.
private func choose(
  among choices: [LayerChoices], _ checkpoint: Checkpoint, _ request: PlanRequest
) throws -> PlanOutcome {
  var sizes = try FileSizeModel(checkpoint) { replacements in
    try Record(replacing: replacements, in: checkpoint, architecture: request.companions.architecture)
  }
  var options: [[(growth: Int, candidate: Candidate?)]] = []
  for choice in choices {
    var layerOptions: [(growth: Int, candidate: Candidate?)] = [(0, nil)]
    for candidate in choice.candidates {
      let growth = try sizes.growth(choice.layer, candidate)
      if growth < 0 { layerOptions.append((growth, candidate)) }
    }
    options.append(layerOptions)
  }
  func loss(_ choice: LayerChoices, _ candidate: Candidate) -> Double {
    choice.sensitivity?.loss(candidate.outputDiscrepancy) ?? candidate.outputDiscrepancy * candidate.outputDiscrepancy
  }
  let groups = zip(choices, options).map { choice, layerOptions in
    layerOptions.map { option in
      KnapsackItem(cost: option.growth, loss: option.candidate.map { loss(choice, $0) } ?? 0)
    }
  }
  let selection = try BudgetedSelection(groups: groups, budget: request.budget, dense: sizes.denseByteCount) {
    picks in
    try sizes.byteCount(
      replacements(choices, picks.enumerated().map { options[$0.offset][$0.element].candidate }))
  }
  switch selection {
  case .infeasible(let smallest):
    return .infeasible(smallest: smallest, heldUpBy: largestTensors(checkpoint, choices))
  case .selected(let picks, let bytes, let solver):
    let chosen = picks.enumerated().map { options[$0.offset][$0.element].candidate }
    return .plan(
      PlanDocument(
        request, checkpoint, choices, chosen: chosen,
        losses: picks.enumerated().map { groups[$0.offset][$0.element].loss },
        couldShrink: options.map { $0.count > 1 }, bytes: bytes, solver: solver,
        frontier: Frontier(groups: groups).thinned(to: frontierCount)
          .map { .init(bytes: sizes.denseByteCount + $0.cost, loss: $0.loss) }))
  }
}

private func replacements(_ choices: [LayerChoices], _ chosen: [Candidate?]) -> [Replacement] {
  zip(choices, chosen).compactMap { choice, candidate in
    candidate.map { Replacement(layer: choice.layer.name, structure: $0.structure, stages: $0.stages) }
  }
}

/// What a plan that is too large cannot shrink: the largest tensors outside the layers with candidates.
private func largestTensors(_ checkpoint: Checkpoint, _ choices: [LayerChoices]) -> [String] {
  let shrinking = Set(choices.filter { !$0.candidates.isEmpty }.map(\.layer.kernel.name))
  let refusals = Dictionary(choices.map { ($0.layer.kernel.name, $0.refusal) }) { first, _ in first }
  return checkpoint.tensors.filter { !shrinking.contains($0.name) }
    .sorted { ($1.bytes.count, $0.name) < ($0.bytes.count, $1.name) }
    .prefix(3).map { tensor in
      let reason = refusals[tensor.name].flatMap(\.self).map { ": " + $0 } ?? ""
      return "'\(tensor.name)' (\(tensor.bytes.count) bytes\(reason))"
    }
}
