import Checkpoints
import Decompositions
import Plans
import Solver

/// The forms that a layer may take in a plan, with what each costs.
struct LayerOptions: Sendable {
  struct Option: Sendable {
    /// The candidate of this option; nil for the dense kernel.
    let candidate: Candidate?
    /// What the form takes: of resources that add up, what is added to the network's as it is (negative where it shrinks); of
    /// those with a peak, what is alive while the layer runs.
    let amounts: Amounts
    /// What of its bytes it may have in common with other layers.
    let shared: [IntegerVector]
    let loss: Double

    /// What the file grows by; negative where it shrinks.
    var growth: Int {
      guard let growth = amounts[count: .bytes] else { preconditionFailure("the growth of a file is always known") }
      return growth
    }
  }

  let choices: LayerChoices
  /// The options within the limits; empty where the limits leave none.
  private(set) var options: [Option] = []
  /// Why some candidates are no options.
  private(set) var notes: [String] = []

  /// The candidates that the recipe and the device's runtime accept, and the dense kernel. One that saves no bytes may save operations or
  /// time; one that saves nothing is never chosen.
  init(_ choices: LayerChoices, _ request: PlanRequest, _ costs: NetworkCosts, _ sizes: FileSizeModel) throws {
    self.choices = choices
    let layer = choices.layer
    func option(_ candidate: Candidate?, growth: Int) throws -> Option {
      var amounts = costs.amounts(of: layer, candidate?.stages ?? layer.denseStages)
      amounts[count: .bytes] = growth
      return Option(
        candidate: candidate, amounts: amounts, shared: try candidate.map { try sizes.shared(layer, $0) } ?? [],
        loss: choices.loss(candidate))
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

  /// The options without those that take more than a limit on a resource with a peak.
  func within(_ resource: Resource, _ limit: Double) -> LayerOptions {
    var result = self
    result.options = options.filter { $0.amounts[resource].map { $0 <= limit } ?? true }
    if result.options.count < options.count {
      result.notes.append(
        "\(options.count - result.options.count) of \(options.count) forms need more \(resource.noun) than there is")
    }
    return result
  }

  /// Whether some form takes fewer bytes than the dense kernel.
  var canShrink: Bool { options.contains { $0.growth < 0 } }

  /// The options as the solver sees them: their amounts of the resources that add up.
  var items: [KnapsackItem] {
    options.map { option in KnapsackItem(costs: CostVector { option.amounts[$0] ?? 0 }, loss: option.loss) }
  }
}
