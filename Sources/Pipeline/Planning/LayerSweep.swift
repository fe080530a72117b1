import Basics
import Checkpoints
import Decompositions
import ModelGraph
import TensorCore

/// One layer with what may become of it.
struct LayerChoices: Sendable {
  let layer: Layer
  /// Never empty where `refusal` is nil.
  let candidates: [Candidate]
  /// Why there are no candidates.
  let refusal: String?
  /// The structures that the format cannot express for this layer, and why.
  var leftOut: String?
  /// What the candidates' discrepancies do to the network's outputs; nil without samples.
  var sensitivity: Sensitivity?
}

/// Finds the candidates of every layer, and with samples what they do to the network's outputs.
struct LayerSweep {
  private let checkpoint: Checkpoint
  private let request: PlanRequest
  private let calibration: Calibration?
  /// Of layers that no calibration measures, by name.
  private let norms: [String: FitNorm]
  private let cache: SweepCache?
  private let workers: Workers

  init(
    _ checkpoint: Checkpoint, _ request: PlanRequest, _ calibration: Calibration?, norms: [String: FitNorm] = [:],
    workers: Workers
  ) throws {
    self.norms = norms
    self.checkpoint = checkpoint
    self.request = request
    self.calibration = calibration
    self.workers = workers
    cache = try request.cache.map { try SweepCache(folder: $0, checkpoint, request) }
  }

  /// In the checkpoint's order; in time the largest layers come first. What the cache knows is taken from there, and each layer goes
  /// there when it is done, so that an interrupted sweep goes on where it stopped.
  func choices(progress: Progress) throws -> [LayerChoices] {
    var known: [Int: LayerChoices] = [:]
    for (position, choices) in try workers.map(checkpoint.layers, { refused($0) ?? cache?.choices(of: $0) })
      .enumerated()
    {
      known[position] = choices
    }
    let missing = checkpoint.layers.indices.filter { known[$0] == nil }.sorted { a, b in
      let (first, second) = (checkpoint.layers[a], checkpoint.layers[b])
      return (second.convolution.parameterCount, a) < (first.convolution.parameterCount, b)
    }
    guard !missing.isEmpty else { return checkpoint.layers.indices.compactMap { known[$0] } }
    let statistics = try calibration?.statistics(of: missing.map { checkpoint.layers[$0] }, progress: progress) ?? [:]
    let counter = Counter()
    let swept = try workers.map(missing) { position in
      let layer = checkpoint.layers[position]
      var choices = try candidates(for: layer, statistics[layer.name]?.norm ?? norms[layer.name])
      choices.sensitivity = try calibration?.sensitivity(of: choices, statistics[layer.name], seed: request.seed)
      cache?.keep(choices)
      progress("sweep", counter.next(), of: missing.count, layer.name)
      return choices
    }
    for (position, choices) in zip(missing, swept) { known[position] = choices }
    return checkpoint.layers.indices.compactMap { known[$0] }
  }

  /// A layer that stays dense without a search; nil for others.
  private func refused(_ layer: Layer) -> LayerChoices? {
    (request.recipe.refusal(of: layer.name) ?? layer.refusal).map {
      LayerChoices(layer: layer, candidates: [], refusal: $0)
    }
  }

  private func candidates(for layer: Layer, _ norm: FitNorm?) throws -> LayerChoices {
    let kernel = try checkpoint.kernel(of: layer)
    let refusals = Refusals()
    let structures = try request.recipe.structures.map(Structures.named)
    let candidates = try Sweep(structures: structures, rankMultiple: request.rankMultiple).candidates(
      for: kernel, norm: norm, convolution: layer.convolution, hasBias: layer.bias != nil, seed: request.seed
    ) { refusals.note(checkpoint.refusal(of: $1, for: layer), of: $0) }
    guard !candidates.isEmpty else {
      return LayerChoices(
        layer: layer, candidates: [],
        refusal: refusals.summary ?? "no structure has fewer parameters than the kernel")
    }
    return LayerChoices(
      layer: layer, candidates: norm == nil ? candidates : candidates.undominated, refusal: nil,
      leftOut: refusals.summary)
  }
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
