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

  /// The structures that there are.
  public static var knownStructures: [String] { Structures.all.map(\.name) }

  public init(
    checkpoint: String, budget: Int, structures: [String] = [], keep: [Glob] = [],
    seed: UInt64 = 0, companions: Companions = Companions(), dtype: DType? = nil,
    calibration: CalibrationSource? = nil
  ) {
    self.checkpoint = checkpoint
    self.budget = budget
    self.structures = structures.isEmpty ? Self.knownStructures : structures
    self.keep = keep
    self.seed = seed
    self.companions = companions
    self.dtype = dtype
    self.calibration = calibration
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
  let calibration = try request.calibration.map { try $0.calibration(of: checkpoint, workers: workers) }
  let norms = try calibration?.norms(checkpoint.layers, progress: progress) ?? [:]
  let choices = try sweep(checkpoint, request, norms, workers: workers, progress: progress)
  let sensitivities = try calibration?.sensitivities(choices, workers: workers, progress: progress) ?? [:]
  return (
    try choose(among: choices, checkpoint, request, sensitivities), checkpoint.notices + (calibration?.notices ?? [])
  )
}

/// One layer with what may become of it.
struct LayerChoices: Sendable {
  let layer: Layer
  /// Never empty where `refusal` is nil.
  let candidates: [Candidate]
  /// Why there are no candidates.
  let refusal: String?
  /// The structures that the format cannot express for this layer, and why.
  var leftOut: String?
}

/// The candidates of every layer, the largest layers first in time, the result in the checkpoint's order.
private func sweep(
  _ checkpoint: Checkpoint, _ request: PlanRequest, _ norms: [String: FitNorm], workers: Workers,
  progress: Progress
) throws -> [LayerChoices] {
  let counter = Counter()
  let layers = Array(checkpoint.layers.enumerated())
  let bySize = layers.sorted {
    ($1.element.convolution.parameterCount, $0.offset) < ($0.element.convolution.parameterCount, $1.offset)
  }
  let swept = try workers.map(bySize) { position, layer in
    let choices = try candidates(for: layer, checkpoint, request, norms[layer.name])
    progress("sweep", counter.next(), of: layers.count, layer.name)
    return (position, choices)
  }
  return swept.sorted { $0.0 < $1.0 }.map(\.1)
}

private func candidates(
  for layer: Layer, _ checkpoint: Checkpoint, _ request: PlanRequest, _ norm: FitNorm?
) throws -> LayerChoices {
  func dense(_ reason: String) -> LayerChoices {
    LayerChoices(layer: layer, candidates: [], refusal: reason)
  }
  if let glob = request.keep.first(where: { $0.matches(layer.name) }) {
    return dense("kept by --keep '\(glob.pattern)'")
  }
  if let refusal = layer.refusal { return dense(refusal) }
  let kernel = try checkpoint.kernel(of: layer)
  let refusals = Refusals()
  let structures = try request.structures.map(Structures.named)
  let candidates = try Sweep(structures: structures).candidates(
    for: kernel, norm: norm, convolution: layer.convolution, hasBias: layer.bias != nil,
    seed: request.seed
  ) { refusals.note(checkpoint.refusal(of: $1, for: layer), of: $0) }
  guard !candidates.isEmpty else {
    return dense(refusals.summary ?? "no structure has fewer parameters than the kernel")
  }
  return LayerChoices(
    layer: layer, candidates: norm == nil ? candidates : candidates.undominated, refusal: nil,
    leftOut: refusals.summary)
}

extension [Candidate] {
  /// Those that no other one beats, whatever its structure: calibrated candidates hold their factors.
  fileprivate var undominated: [Candidate] {
    let sorted = self.sorted { ($0.parameterCount, $0.outputDiscrepancy) < ($1.parameterCount, $1.outputDiscrepancy) }
    var least = Double.infinity
    return sorted.filter { candidate in
      defer { least = Swift.min(least, candidate.outputDiscrepancy) }
      return candidate.outputDiscrepancy < least
    }
  }
}

/// Why a writer could not express structures.
private final class Refusals {
  private var reasons: [String: String] = [:]
  private var expressible: Set<String> = []

  /// Whether there was no reason.
  func note(_ reason: String?, of structure: String) -> Bool {
    if let reason { reasons[structure] = reasons[structure] ?? reason } else { expressible.insert(structure) }
    return reason == nil
  }

  /// One sentence about the structures of which nothing can be expressed; nil where there are none.
  var summary: String? {
    let whole = reasons.filter { !expressible.contains($0.key) }
    guard !whole.isEmpty else { return nil }
    let byReason = Dictionary(grouping: whole.keys.sorted()) { whole[$0] ?? "" }
    return byReason.sorted { $0.key < $1.key }
      .map { "\($0.value.joined(separator: ", ")) cannot be expressed: \($0.key)" }.joined(separator: "; ")
  }
}

extension Checkpoint {
  /// A layer's kernel (out, in / groups, spatial...) in double precision.
  ///
  /// - Throws: `Failure` naming the file and the tensor where the kernel holds a NaN or an infinity.
  func kernel(of layer: Layer) throws -> Tensor<Double> {
    let kernel: Tensor<Double> = try parameter(layer.kernel)
    guard let position = kernel.elements.firstIndex(where: { !$0.isFinite }) else { return kernel }
    throw Failure(
      path, "tensor '\(layer.kernel.name)' cannot be compressed",
      "it holds \(kernel.elements[position].isNaN ? "a NaN" : "an infinity")",
      remedy: "repair the checkpoint, or leave the layer out with --keep '\(layer.name)'")
  }
}

/// Chooses one candidate, or the dense kernel, for each layer.
private func choose(
  among choices: [LayerChoices], _ checkpoint: Checkpoint, _ request: PlanRequest,
  _ sensitivities: [String: Sensitivity]
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
    sensitivities[choice.layer.name]?.loss(candidate.outputDiscrepancy) ?? candidate.discrepancy * candidate.discrepancy
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
        couldShrink: options.map { $0.count > 1 }, bytes: bytes, solver: solver))
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
