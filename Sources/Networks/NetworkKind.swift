import Calibration
import Checkpoints
import Plans
import Running

/// What kind of network a checkpoint holds: a graph that runs on samples, or a character model that runs on text.
///
/// Whoever plans, applies or verifies asks here and needs to know neither. A new kind is a type that conforms, and a line in
/// `NetworkKinds.all`.
package protocol NetworkKind: Sendable {
  /// - Returns: nil where the checkpoint holds a network of another kind.
  init?(_ checkpoint: Checkpoint)

  /// Whether the network runs on inputs that the program makes.
  var runsOnRandomInputs: Bool { get }

  /// Whether the network is compared with its original on data of what it will see.
  var comparesOnData: Bool { get }

  /// Reads data of what the network will see.
  ///
  /// - Throws: `Failure` where the network cannot be run or the data do not serve.
  func calibrator(_ source: CalibrationSource, workers: Workers) throws -> any Calibrator

  /// Runs the network and its original on the same inputs.
  ///
  /// - Throws: `Failure` where one of them cannot be run, or data do not fit.
  func compared(
    with original: Checkpoint, on inputs: ComparisonInputs, workers: Workers, progress: ProgressHandler
  ) throws -> NetworkComparison

  /// Runs the network on data, or on random inputs where there are none, and its original where that is at hand.
  ///
  /// - Throws: `Failure` where data do not fit, or an option is for another kind of network.
  func examined(
    _ request: ExaminationRequest, original: Checkpoint?, workers: Workers, progress: ProgressHandler
  ) throws -> Examination
}

/// What a network and its original are compared on.
package enum ComparisonInputs: Sendable {
  /// Inputs that the program makes, at least so many.
  case random(seed: UInt64, count: Int)
  /// Data of what the network will see: those of them on which fits are judged.
  case data(CalibrationSource)
}

/// A network against its original, output by output.
package struct NetworkComparison: Sendable {
  package let outputs: [OutputComparison]
  /// The samples that both ran on.
  package let samples: Int
  /// Where the samples come from, for messages.
  package let source: String

  /// The output that is farthest from its reference.
  package var worst: OutputComparison {
    guard
      let worst = outputs.max(by: {
        $0.relativeDiscrepancy < $1.relativeDiscrepancy || $1.relativeDiscrepancy.isNaN
      })
    else { preconditionFailure("a network has an output") }
    return worst
  }
}

/// What `verify` wants a network to be run on.
package struct ExaminationRequest: Sendable {
  /// A data file with inputs, and outputs, labels or targets; nil for seeded random inputs.
  package var reference: String?
  package var preparation = SamplePreparation()
  package var seed: UInt64 = 0
  /// A text for a character model.
  package var text: String?
  /// The options given that only make sense where the network runs.
  package var networkOptions: [String] = []
  /// What apply recorded; nil for an uncompressed checkpoint.
  package var record: Record?

  package init() {}
}

/// What was measured of a network.
package struct Examination: Sendable {
  /// The number of samples that the network ran on; 0 where it was not run.
  package var samples = 0
  /// Where the samples come from; nil where the network was not run.
  package var source: String?
  package var outputs: [OutputComparison] = []
  package var accuracy: Double?
  package var originalAccuracy: Double?
  package var psnr: Double?
  package var originalPSNR: Double?
  package var bitsPerCharacter: Double?
  package var originalBitsPerCharacter: Double?
  /// One sentence for each thing that does not hold.
  package var failures: [String] = []
  /// What the user should know.
  package var notices: [String] = []

  package init() {}
}

/// The kinds of networks that there are.
package enum NetworkKinds {
  /// The kinds in the order in which they are asked; the last one takes every checkpoint.
  package static let all: [any NetworkKind.Type] = [CharacterNetwork.self, GraphNetwork.self]

  /// The kind of network that a checkpoint holds.
  package static func of(_ checkpoint: Checkpoint) -> any NetworkKind {
    guard let kind = all.lazy.compactMap({ $0.init(checkpoint) }).first else {
      preconditionFailure("a graph network takes every checkpoint")
    }
    return kind
  }
}
