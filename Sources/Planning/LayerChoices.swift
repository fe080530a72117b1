import Calibration
import Decompositions
import ModelGraph

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

  /// What a form loses in the planning objective; nothing for the dense kernel.
  func loss(_ candidate: Candidate?) -> Double {
    guard let candidate else { return 0 }
    return sensitivity?.loss(candidate.outputDiscrepancy) ?? candidate.outputDiscrepancy * candidate.outputDiscrepancy
  }
}
