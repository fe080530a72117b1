import Checkpoints
import Decompositions
import ModelGraph

extension PlanDocument {
  /// Writes down what was chosen; nil stands for the dense kernel.
  init(
    _ request: PlanRequest, _ checkpoint: Checkpoint, _ choices: [LayerChoices],
    chosen: [Candidate?], losses: [Double], couldShrink: [Bool], bytes: Int, solver: Solver,
    frontier: [Alternative]
  ) {
    self.checkpoint = request.checkpoint
    sha256 = checkpoint.sha256
    budget = Budget(bytes: request.budget)
    self.solver = solver
    self.frontier = frontier
    options = Options(
      structures: request.structures, keep: request.keep.map(\.pattern),
      seed: request.seed, graph: request.companions.graph, architecture: request.companions.architecture,
      dtype: request.dtype, calibration: request.calibration)
    layers = choices.indices.map { position in
      LayerPlan(choices[position], chosen[position], loss: losses[position], couldShrink: couldShrink[position])
    }
    let originalMACs = checkpoint.macs
    original = Original(
      bytes: checkpoint.byteCount, parameters: checkpoint.parameterCount, macs: originalMACs)
    let saved = zip(choices, layers).reduce(0 as Int?) { sum, pair in
      let dense = pair.0.layer.macs(pair.0.layer.denseStages)
      guard let sum, let dense, let now = pair.1.macs else { return pair.1.structure == "dense" ? sum : nil }
      return sum + dense - now
    }
    predicted = Costs(
      bytes: bytes, macs: originalMACs.flatMap { macs in saved.map { macs - $0 } },
      ram: nil, latency: nil, loss: solver.loss)
  }
}

extension PlanDocument.LayerPlan {
  init(_ choice: LayerChoices, _ candidate: Candidate?, loss: Double, couldShrink: Bool) {
    let layer = choice.layer
    let stages = candidate?.stages ?? layer.denseStages
    name = layer.name
    operation = layer.kind.rawValue
    shape = layer.kernelShape
    structure = candidate?.structure ?? "dense"
    ranks = candidate?.ranks ?? []
    shapes = candidate?.shapes ?? []
    parameters = stages.parameterCount
    bytes = stages.parameterCount * layer.dtype.bits / 8
    macs = layer.macs(stages)
    discrepancy = candidate?.discrepancy ?? 0
    self.loss = loss
    if let candidate {
      let notes = [candidate.note, choice.leftOut ?? ""].filter { !$0.isEmpty }
      reason = notes.isEmpty ? nil : notes.joined(separator: "; ")
    } else if let refusal = choice.refusal {
      reason = refusal
    } else {
      let notes =
        [
          couldShrink
            ? "the budget leaves room for the dense kernel"
            : "no structure takes fewer bytes in the file than the kernel", choice.leftOut,
        ].compactMap(\.self)
      reason = notes.joined(separator: "; ")
    }
  }
}
