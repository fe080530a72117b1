import Basics
import Checkpoints
import Plans
import TensorCore

/// What fewer bits for each weight would bring, for a plan that was made without them. Nothing is rounded for it: numbers that are spread like a
/// Gaussian lose a known part of their squares.
extension Planner {
  /// Layers beyond which no hint is worth its time.
  private static let mostLayers = 300

  /// One or two sentences; none where the plan has widths already, or the format holds no integers.
  ///
  /// - Parameter loss: of the plan; nil where there is none.
  /// - Throws: `Failure` where a file's size cannot be told.
  func bitsHints(within limits: Amounts, loss: Double?) throws -> [String] {
    guard request.bits == nil, let allowed = limits[.bytes], layers.count <= Self.mostLayers,
      sizes.denseByteCount > Int(allowed)
    else { return [] }
    var hints: [String] = []
    if let width = try widestThatFits(allowed) {
      hints.append(
        "rounding alone would fit at \(width.rawValue) bits for every layer (--structures none --bits \(width.rawValue))"
      )
    }
    if let estimate = try estimatedLoss(within: limits), loss.map({ estimate < 0.8 * $0 }) ?? true {
      let now = loss.map { "about \(Format.number(estimate)) in place of \(Format.number($0))" }
      hints.append(
        "--bits auto would lose " + (now ?? "about \(Format.number(estimate))") + " at this size, by an estimate")
    }
    return hints
  }

  /// The widths that the format holds for a layer that may change.
  private func widths(of layer: LayerOptions) -> [BitWidth] {
    guard layer.choices.refusal == nil else { return [] }
    return BitWidth.allCases.filter {
      sizes.checkpoint.refusal(of: sizes.checkpoint.storage($0), for: layer.choices.layer) == nil
    }
  }

  /// The largest width at which all layers that may change fit together, each with its dense kernel; nil where none does.
  private func widestThatFits(_ allowed: Double) throws -> BitWidth? {
    try BitWidth.allCases.reversed().first { width in
      let replacements = layers.filter { widths(of: $0).contains(width) }.compactMap { layer in
        LayerChoices.Form(
          candidate: nil, storage: sizes.checkpoint.storage(width), discrepancy: 0, outputDiscrepancy: 0
        )
        .replacement(of: layer.choices.layer)
      }
      return try !replacements.isEmpty && Double(sizes.byteCount(replacements)) <= allowed
    }
  }

  /// The loss of the best plan with widths, as far as Gaussian numbers tell; nil where none fits.
  private func estimatedLoss(within limits: Amounts) throws -> Double? {
    let rounded = try layers.map { layer in
      var choices = layer.choices
      choices.rounded = widths(of: layer).flatMap { width -> [LayerChoices.Form] in
        let noise = width.gaussianNoise
        let dense = LayerChoices.Form(
          candidate: nil, storage: sizes.checkpoint.storage(width), discrepancy: noise.squareRoot(),
          outputDiscrepancy: noise.squareRoot())
        // Factors that are not yet rounded take up most of what the others lose.
        return [dense]
          + choices.candidates.map { candidate in
            LayerChoices.Form(
              candidate: candidate, storage: sizes.checkpoint.storage(width),
              discrepancy: (candidate.discrepancy * candidate.discrepancy + noise).squareRoot(),
              outputDiscrepancy: (candidate.outputDiscrepancy * candidate.outputDiscrepancy + noise).squareRoot())
          }
      }
      return try LayerOptions(choices, request, costs, sizes)
    }
    guard rounded.contains(where: { !$0.choices.rounded.isEmpty }) else { return nil }
    return try select(fitting(limits, rounded), limits)?.solver.loss
  }
}
