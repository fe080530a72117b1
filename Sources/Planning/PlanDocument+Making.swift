import Checkpoints
import Decompositions
import Formats
import ModelGraph
import Plans
import TensorCore

extension PlanDocument {
  /// Writes down what was chosen.
  init(
    _ request: PlanRequest, _ checkpoint: Checkpoint, _ chosen: [(layer: LayerOptions, option: LayerOptions.Option)],
    budget: Amounts, predicted: Costs, original: Original, solver: Solver, prices: [Resource: Double],
    frontier: [Alternative]
  ) {
    self.init(
      checkpoint: request.checkpoint, sha256: checkpoint.sha256, budget: budget, predicted: predicted,
      original: original, solver: solver, prices: prices,
      layers: chosen.map { LayerPlan($0.layer, $0.option, scaleType: checkpoint.content.scaleType) },
      kept: checkpoint.keptTensors,
      options: Options(
        structures: request.recipe.structures, keep: request.recipe.kept.map(\.pattern), seed: request.seed,
        graph: request.companions.graph, architecture: request.companions.architecture,
        stateDict: request.companions.stateDict, dtype: request.dtype,
        bits: request.bits, calibration: request.calibration, device: request.device?.name,
        rankMultiple: request.rankMultiple,
        rules: request.recipe.rules),
      frontier: frontier)
  }
}

extension PlanDocument.LayerPlan {
  init(_ options: LayerOptions, _ option: LayerOptions.Option, scaleType: DType) {
    let (choice, candidate) = (options.choices, option.form.candidate)
    let layer = choice.layer
    let stages = candidate?.stages ?? layer.denseStages
    self.init(
      name: layer.name, operation: layer.kind.rawValue, shape: layer.kernelShape,
      form: candidate.map { .factored(structure: $0.structure, ranks: $0.ranks, shapes: $0.shapes) } ?? .dense,
      // A plan states widths; which numbers of a width a file has is its format's business.
      storage: option.form.storage.width.map { .integers($0) } ?? .float,
      parameters: stages.parameterCount,
      bytes: stages.byteCount(layer.dtype, option.form.storage, scaleType: scaleType),
      macs: layer.macs(stages), loss: option.loss, discrepancy: option.form.discrepancy,
      reason: Self.reason(options, option.form))
  }

  /// Why the layer stays dense, or what the user should know of its fit; nil where there is nothing to say.
  private static func reason(_ options: LayerOptions, _ form: LayerChoices.Form) -> String? {
    let notes = ([options.choices.leftOut].compactMap(\.self) + options.notes).filter { !$0.isEmpty }
    if form.candidate == nil, form.storage != .float { return notes.isEmpty ? nil : notes.joined(separator: "; ") }
    if let candidate = form.candidate {
      let all = (candidate.note.isEmpty ? [] : [candidate.note]) + notes
      return all.isEmpty ? nil : all.joined(separator: "; ")
    }
    if let refusal = options.choices.refusal { return refusal }
    let cause =
      options.canShrink
      ? "the limits leave room for the dense kernel" : "no structure takes fewer bytes in the file than the kernel"
    return ([cause] + notes).joined(separator: "; ")
  }
}
