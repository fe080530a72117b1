import Calibration
import Checkpoints
import Decompositions
import ModelGraph
import Rounding
import Running
import TensorCore

/// Finds the candidates of every layer, and with samples what they do to the network's outputs.
struct LayerSweep {
  private let checkpoint: Checkpoint
  private let request: PlanRequest
  private let calibrator: (any Calibrator)?
  private let cache: SweepCache?
  private let workers: Workers

  /// - Throws: `Failure` where samples or a companion cannot be read for the cache's key.
  init(_ checkpoint: Checkpoint, _ request: PlanRequest, _ calibrator: (any Calibrator)?, workers: Workers) throws {
    self.checkpoint = checkpoint
    self.request = request
    self.calibrator = calibrator
    self.workers = workers
    cache = try request.cache.map { try SweepCache(folder: $0, checkpoint, request) }
  }

  /// In the checkpoint's order; in time the largest layers come first. What the cache knows is taken from there, and each layer goes
  /// there when it is done, so that an interrupted sweep goes on where it stopped.
  func choices(progress: ProgressHandler) throws -> [LayerChoices] {
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
    let statistics = try calibrator?.statistics(of: missing.map { checkpoint.layers[$0] }, progress: progress) ?? [:]
    let counter = Counter()
    let swept = try workers.map(missing) { position in
      let layer = checkpoint.layers[position]
      var choices = try candidates(for: layer, statistics[layer.name]?.norm)
      choices.rounded = try rounded(choices, statistics[layer.name]?.norm)
      choices.sensitivity = try calibrator?.sensitivity(
        of: layer, approximations(choices, statistics[layer.name]?.norm), statistics[layer.name])
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

  /// Whether the layer's weights may be integers.
  private func canRound(_ layer: Layer) -> Bool { !widths(of: layer).isEmpty }

  private func widths(of layer: Layer) -> [BitWidth] {
    request.recipe.widths(request.bits ?? [], for: layer.name).filter {
      checkpoint.refusal(of: checkpoint.storage($0), for: layer) == nil
    }
  }

  /// The dense kernel and all candidates in the widths that the plan may use, each rounded as it would be by itself.
  private func rounded(_ choices: LayerChoices, _ norm: FitNorm?) throws -> [LayerChoices.Form] {
    let layer = choices.layer
    let widths = widths(of: layer)
    guard choices.refusal == nil, !widths.isEmpty else { return [] }
    return try RoundedForms(
      layer, checkpoint.kernel(of: layer), norm: norm, widths: widths, storage: checkpoint.storage, seed: request.seed
    ).forms(of: choices.candidates)
  }

  /// What the layer may become, to be measured: its candidates, or its dense kernel in fewer bits where it has none.
  private func approximations(_ choices: LayerChoices, _ norm: FitNorm?) throws -> [KernelApproximation] {
    let layer = choices.layer
    let kernel = try checkpoint.kernel(of: layer)
    if choices.candidates.isEmpty {
      return choices.rounded.compactMap { form in
        form.storage.width.map { _ in
          KernelApproximation(outputDiscrepancy: form.outputDiscrepancy) {
            try RoundedLayer(dense: layer.objectives(kernel, norm: norm), of: layer.convolution, storage: form.storage)
              .kernel
          }
        }
      }
    }
    return choices.candidates.map { candidate in
      KernelApproximation(outputDiscrepancy: candidate.outputDiscrepancy) {
        try candidate.approximation(of: kernel, norm: norm, seed: request.seed)
      }
    }
  }

  private func candidates(for layer: Layer, _ norm: FitNorm?) throws -> LayerChoices {
    let kernel = try checkpoint.kernel(of: layer)
    let refusals = Refusals()
    let structures = try request.recipe.structures.map(Structures.named)
    let candidates = try Sweep(structures: structures, rankMultiple: request.rankMultiple).candidates(
      for: kernel, norm: norm, convolution: layer.convolution, hasBias: layer.bias != nil, seed: request.seed
    ) { refusals.note(checkpoint.refusal(of: $1, for: layer), of: $0) }
    guard !candidates.isEmpty || canRound(layer) else {
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
