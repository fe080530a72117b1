import Basics
import Calibration
import Checkpoints
import Decompositions
import ModelGraph
import Networks
import Plans
import TensorCore

extension PlanDocument {
  /// The layers to compress with their candidates, after checking that the plan belongs to the checkpoint.
  ///
  /// - Throws: `Failure` where the hash differs, a layer is unknown or missing, or a structure does not fit its kernel.
  func validated(
    against checkpoint: Checkpoint, planPath: String
  ) throws -> [PlannedLayer] {
    guard sha256 == checkpoint.sha256 else {
      throw Failure(
        planPath, "does not belong to '\(checkpoint.path)'",
        "the plan was made for the SHA-256 \(sha256.prefix(12))..., the file has \(checkpoint.sha256.prefix(12))...",
        remedy: "plan this checkpoint anew")
    }
    var known: [String: Layer] = [:]
    for layer in checkpoint.layers { known[layer.name] = layer }
    var compressed: [PlannedLayer] = []
    for entry in layers {
      guard let layer = known.removeValue(forKey: entry.name) else {
        throw Failure(
          planPath, "layer '\(entry.name)' cannot be compressed",
          "'\(checkpoint.path)' has no such layer, or the plan names it twice")
      }
      guard entry.shape == layer.kernelShape else {
        throw Failure(
          planPath, "layer '\(entry.name)' cannot be compressed",
          "the plan states the kernel shape \(entry.shape), the checkpoint has \(layer.kernelShape)")
      }
      guard !entry.isUnchanged else { continue }
      do {
        compressed.append(
          PlannedLayer(
            layer: layer, candidate: try entry.candidate(for: layer, in: checkpoint),
            storage: entry.stored(in: checkpoint)))
      } catch let failure as Failure {
        throw failure.within(planPath)
      }
    }
    if let missing = checkpoint.layers.first(where: { known[$0.name] != nil }) {
      throw Failure(
        planPath, "does not mention layer '\(missing.name)'", "a plan lists every layer",
        remedy: "plan this checkpoint anew")
    }
    return compressed
  }
}

extension PlanDocument {
  /// A plan may have been edited since the planner kept its budget.
  ///
  /// - Throws: `Failure` where the file would have more bytes than the plan allows.
  func checkBudget(
    _ planned: [PlannedLayer], _ checkpoint: Checkpoint, planPath: String
  ) throws {
    guard let allowed = budget[count: .bytes] else { return }
    let replacements = planned.map {
      Replacement(layer: $0.layer.name, structure: $0.structure, stages: $0.stages, storage: $0.storage)
    }
    let kind = NetworkKinds.of(checkpoint)
    let record = try Record(
      replacing: replacements, in: checkpoint, architecture: options.architecture, canRun: kind.runsOnRandomInputs,
      hasSamples: options.calibration != nil && kind.comparesOnData, plan: self)
    let bytes = try checkpoint.byteCount(replacing: replacements, record: record.json)
    guard bytes > allowed else { return }
    throw Failure(
      planPath, "is not carried out", "the file would have \(bytes) bytes, and the plan's budget is \(allowed)",
      remedy: "lower ranks, or raise the budget's bytes")
  }
}

extension PlanDocument.LayerPlan {
  /// How the checkpoint's format stores the planned width.
  fileprivate func stored(in checkpoint: Checkpoint) -> WeightStorage {
    storage.width.map(checkpoint.storage) ?? .float
  }

  /// The candidate that the plan names; nil where the layer keeps its form.
  fileprivate func candidate(for layer: Layer, in checkpoint: Checkpoint) throws -> Candidate? {
    func invalid(_ reason: String, _ remedy: String? = nil) -> Failure {
      Failure("layer '\(name)'", "cannot be compressed", reason, remedy: remedy)
    }
    if let refusal = layer.refusal { throw invalid(refusal, "set its structure to dense and its bits to null") }
    if let refusal = checkpoint.refusal(of: stored(in: checkpoint), for: layer) {
      throw invalid(refusal, "set its bits to null")
    }
    guard !form.isDense else { return nil }
    let candidate: Candidate
    do {
      candidate = try Candidate(
        structure: form.structure, shapes: form.shapes, ranks: form.ranks, discrepancy: discrepancy,
        convolution: layer.convolution, hasBias: layer.bias != nil)
    } catch let failure as Failure {
      throw failure.within("layer '\(name)'")
    }
    if let refusal = checkpoint.refusal(of: candidate.stages, for: layer) { throw invalid(refusal) }
    return candidate
  }
}
