import Basics
import Checkpoints
import Decompositions
import ModelGraph
import Rounding
import TensorCore

/// What the dense kernel or a candidate loses when its weights are stored in fewer bits.
package struct ExplainedRounding: Sendable {
  /// The candidate's structure, or `dense`.
  package let structure: String
  package let width: BitWidth
  /// The weights without scales, names and headers.
  package let byteCount: Int
  /// The relative discrepancy from the kernel in the norm of the weights.
  package let discrepancy: Double
  /// The same in the norm of the layer's outputs; that of the weights where there are no samples.
  package let outputDiscrepancy: Double

  /// All forms in all widths that the checkpoint can store.
  ///
  /// - Throws: `Failure` where it can store none of the widths for the layer, or LAPACK does not converge.
  static func all(
    _ candidates: [Candidate], of layer: Layer, in checkpoint: Checkpoint, norm: FitNorm?, widths: [BitWidth],
    seed: UInt64
  ) throws -> [ExplainedRounding] {
    let kept = widths.filter { checkpoint.refusal(of: checkpoint.storage($0), for: layer) == nil }
    if let first = widths.first, kept.isEmpty,
      let reason = checkpoint.refusal(of: checkpoint.storage(first), for: layer)
    {
      throw Failure(checkpoint.path, "layer '\(layer.name)' cannot be stored in \(first.rawValue) bits", reason)
    }
    let kernel = try checkpoint.kernel(of: layer)
    let objectives = try layer.objectives(kernel, norm: norm)
    func explained(_ structure: String, _ parameters: Int, _ width: BitWidth, _ rounded: RoundedLayer) -> Self {
      ExplainedRounding(
        structure: structure, width: width, byteCount: (parameters * width.rawValue + 7) / 8,
        discrepancy: rounded.discrepancy(from: kernel), outputDiscrepancy: rounded.outputDiscrepancy)
    }
    let dense = try kept.map { width in
      explained(
        Replacement.dense, kernel.count, width,
        try RoundedLayer(dense: objectives, of: layer.convolution, storage: checkpoint.storage(width)))
    }
    return try dense
      + candidates.flatMap { candidate in
        let fitted = try candidate.fit(kernel, norm: norm, seed: seed, effort: .final)
        return try kept.map { width in
          explained(
            candidate.structure, candidate.parameterCount, width,
            try RoundedLayer(fitted, of: candidate, towards: objectives, storage: checkpoint.storage(width)))
        }
      }
  }

  var json: JSON {
    [
      "structure": .string(structure), "bits": .integer(width.rawValue), "bytes": .integer(byteCount),
      "discrepancy": .real(discrepancy), "output_discrepancy": .real(outputDiscrepancy),
    ]
  }
}
