import Checkpoints
import Decompositions
import Plans
import Solver

/// The forms that a layer may take in a plan, with what each costs.
struct LayerOptions: Sendable {
  struct Option: Sendable {
    /// What the layer computes with, and how it is stored.
    let form: LayerChoices.Form
    /// What the form takes: of resources that add up, what is added to the network's as it is (negative where it shrinks); of
    /// those with a peak, what is alive while the layer runs.
    let amounts: Amounts
    /// What of its bytes it may have in common with other layers.
    let shared: [IntegerVector]
    let loss: Double

    /// The candidate of this option; nil for the dense kernel.
    var candidate: Candidate? { form.candidate }

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
    func option(_ form: LayerChoices.Form, growth: Int) throws -> Option {
      var amounts = costs.amounts(of: layer, form.stages(of: layer))
      amounts[count: .bytes] = growth
      return Option(
        form: form, amounts: amounts,
        shared: try form.candidate == nil ? [] : form.replacement(of: layer).map { try sizes.shared($0) } ?? [],
        loss: choices.loss(form))
    }
    let count = layer.convolution.parameterCount
    if request.recipe.accepts(nil, for: layer.name, parameters: count) || choices.forms.isEmpty {
      options.append(try option(.dense, growth: 0))
    }
    let accepted = choices.forms.filter {
      request.recipe.accepts($0.candidate, for: layer.name, parameters: count)
        && request.recipe.accepts($0.storage, discrepancy: $0.discrepancy, for: layer.name)
    }
    var missing: [String: Set<String>] = [:]
    let runnable = accepted.filter { form in
      guard let candidate = form.candidate, let operation = request.device?.missingOperation(in: candidate.stages)
      else { return true }
      missing[operation, default: []].insert(candidate.structure)
      return false
    }
    for (form, growth) in zip(runnable, try sizes.growths(layer, runnable)) {
      options.append(try option(form, growth: growth))
    }
    let refused = choices.forms.count - accepted.count
    notes = refused == 0 ? [] : ["the recipe refuses \(refused) of \(choices.forms.count) candidates"]
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
