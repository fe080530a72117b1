import Calibration
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

  /// The dense kernel and the candidates with integers in place of their numbers.
  var rounded: [Form] = []

  /// One way to store the layer: what it computes with, and how its numbers are stored.
  struct Form: Sendable {
    /// Nil for the dense kernel.
    let candidate: Candidate?
    let storage: WeightStorage
    /// The relative discrepancy of the kernel.
    let discrepancy: Double
    /// The same in the norm of the fit.
    let outputDiscrepancy: Double

    static let dense = Form(candidate: nil, storage: .float, discrepancy: 0, outputDiscrepancy: 0)

    init(candidate: Candidate?, storage: WeightStorage, discrepancy: Double, outputDiscrepancy: Double) {
      self.candidate = candidate
      self.storage = storage
      self.discrepancy = discrepancy
      self.outputDiscrepancy = outputDiscrepancy
    }

    /// A candidate with numbers of the layer's own type.
    init(_ candidate: Candidate) {
      self.init(
        candidate: candidate, storage: .float, discrepancy: candidate.discrepancy,
        outputDiscrepancy: candidate.outputDiscrepancy)
    }

    func stages(of layer: Layer) -> [Stage] { candidate?.stages ?? layer.denseStages }

    /// Whether the layer stays as it is.
    var isUnchanged: Bool { candidate == nil && storage == .float }

    /// What the form takes the layer's place as; nil where the layer stays as it is.
    func replacement(of layer: Layer) -> Replacement? {
      isUnchanged
        ? nil
        : Replacement(
          layer: layer.name, structure: candidate?.structure ?? Replacement.dense, stages: stages(of: layer),
          storage: storage)
    }
  }

  /// Every form but the dense kernel as it is.
  var forms: [Form] { candidates.map(Form.init) + rounded }

  /// What a form loses in the planning objective; nothing for the dense kernel.
  func loss(_ form: Form) -> Double {
    guard !form.isUnchanged else { return 0 }
    return sensitivity?.loss(form.outputDiscrepancy) ?? form.outputDiscrepancy * form.outputDiscrepancy
  }
}
