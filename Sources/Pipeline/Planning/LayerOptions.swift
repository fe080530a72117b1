import Checkpoints
import Decompositions
import ModelGraph
import Planning

/// The forms that a layer may take in a plan, with what each costs.
struct LayerOptions: Sendable {
  struct Option: Sendable {
    /// Nil for the dense kernel.
    let candidate: Candidate?
    /// What the file grows by; negative where it shrinks.
    let growth: Int
    /// What of that it may have in common with other layers.
    let shared: [IntegerVector]
    let loss: Double
    /// What is added to the network's; nil where unknown.
    let macs: Int?
    let seconds: Double?
    /// Bytes of activations alive while the layer runs; nil where unknown.
    let ram: Int?
  }

  let choices: LayerChoices
  /// Empty where the limits leave none.
  private(set) var options: [Option] = []
  /// Why some candidates are no options.
  private(set) var notes: [String] = []

  /// The candidates that the recipe and the device's runtime accept, and the dense kernel. One that saves no bytes may save operations or
  /// time; one that saves nothing is never chosen.
  init(_ choices: LayerChoices, _ request: PlanRequest, _ costs: NetworkCosts, _ sizes: FileSizeModel) throws {
    self.choices = choices
    let layer = choices.layer
    func option(_ candidate: Candidate?, growth: Int) throws -> Option {
      let stages = candidate?.stages ?? layer.denseStages
      let loss = candidate.map {
        choices.sensitivity?.loss($0.outputDiscrepancy) ?? $0.outputDiscrepancy * $0.outputDiscrepancy
      }
      return Option(
        candidate: candidate, growth: growth, shared: try candidate.map { try sizes.shared(layer, $0) } ?? [],
        loss: loss ?? 0,
        macs: costs.macs(of: layer, stages),
        seconds: costs.seconds(of: layer, stages), ram: costs.ram(of: layer, stages))
    }
    let count = layer.convolution.parameterCount
    if request.recipe.accepts(nil, for: layer.name, parameters: count) || choices.candidates.isEmpty {
      options.append(try option(nil, growth: 0))
    }
    let accepted = choices.candidates.filter { request.recipe.accepts($0, for: layer.name, parameters: count) }
    var missing: [String: Set<String>] = [:]
    let runnable = accepted.filter { candidate in
      guard let operation = request.device?.missingOperation(in: candidate.stages) else { return true }
      missing[operation, default: []].insert(candidate.structure)
      return false
    }
    for (candidate, growth) in zip(runnable, try sizes.growths(layer, runnable)) {
      options.append(try option(candidate, growth: growth))
    }
    let refused = choices.candidates.count - accepted.count
    notes = refused == 0 ? [] : ["the recipe refuses \(refused) of \(choices.candidates.count) candidates"]
    notes += missing.sorted { $0.key < $1.key }.map { operation, structures in
      "\(structures.sorted().joined(separator: ", ")) need \(operation), which the device's runtime does not have"
    }
  }

  /// Without the options whose activations do not fit.
  func within(ram: Int) -> LayerOptions {
    var result = self
    result.options = options.filter { ($0.ram ?? 0) <= ram }
    if result.options.count < options.count {
      result.notes.append(
        "\(options.count - result.options.count) of \(options.count) forms need more RAM than there is")
    }
    return result
  }

  /// Whether some form takes fewer bytes than the dense kernel.
  var canShrink: Bool { options.contains { $0.growth < 0 } }

  /// For the knapsack: growth, multiply-accumulates, seconds.
  var items: [KnapsackItem] {
    options.map {
      KnapsackItem(costs: [Double($0.growth), Double($0.macs ?? 0), $0.seconds ?? 0, 0], loss: $0.loss)
    }
  }
}
