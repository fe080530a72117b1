import Basics

/// What fits on samples came to, measured on those held out.
package struct CalibrationOutcome: Sendable, Equatable {
  /// Where the samples come from.
  package var source: String
  package var samples: Int
  package var heldOut: Int
  /// The loss after every layer's own fit, then after each pass over the network that lowered it.
  package var losses: [Double]
  /// What each compressed layer costs alone, by its name.
  package var layerLosses: [String: Double]
  /// ||y - y_ref|| / ||y_ref|| of the outputs.
  package var discrepancy: Double
  /// The part of the samples with the same largest class; nil for networks without classes.
  package var agreement: Double?
  /// What the user should know about the samples.
  package var notices: [String] = []

  var json: JSON {
    [
      "source": .string(source), "samples": .integer(samples), "held_out": .integer(heldOut),
      "losses": .array(losses.map(JSON.real)), "discrepancy": .real(discrepancy),
      "agreement": .optional(agreement, JSON.real),
    ]
  }
}
