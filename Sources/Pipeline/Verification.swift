import Basics
import Checkpoints
import Formats
import Foundation
import ModelGraph
import TensorCore

/// What the user asks `verify` for.
package struct VerifyRequest: Sendable {
  package var checkpoint: String
  /// Samples and, where it holds them, the outputs to compare with.
  package var reference: String?
  /// The original checkpoint; nil takes the one that apply recorded, where it is at hand.
  package var original: String?
  package var maximumDiscrepancy: Double?
  package var minimumAgreement: Double?
  package var minimumAccuracy: Double?
  package var preparation: SamplePreparation
  package var seed: UInt64?
  /// For a character model: what its bits per character are measured on.
  package var text: String?
  package var companions: Companions

  package init(
    checkpoint: String, reference: String? = nil, original: String? = nil,
    maximumDiscrepancy: Double? = nil, minimumAgreement: Double? = nil,
    minimumAccuracy: Double? = nil, preparation: SamplePreparation = SamplePreparation(),
    seed: UInt64? = nil, text: String? = nil, companions: Companions = Companions()
  ) {
    self.checkpoint = checkpoint
    self.reference = reference
    self.original = original
    self.maximumDiscrepancy = maximumDiscrepancy
    self.minimumAgreement = minimumAgreement
    self.minimumAccuracy = minimumAccuracy
    self.preparation = preparation
    self.seed = seed
    self.text = text
    self.companions = companions
  }
}

/// The verdict of `verify` and everything that it rests on.
package struct Verification: Sendable {
  package internal(set) var passed = false
  /// The number of samples that the network ran on; 0 where it was not run.
  package internal(set) var samples = 0
  package internal(set) var source: String?
  package internal(set) var outputs: [OutputComparison] = []
  package internal(set) var accuracy: Double?
  package internal(set) var originalAccuracy: Double?
  package internal(set) var psnr: Double?
  package internal(set) var originalPSNR: Double?
  package internal(set) var bitsPerCharacter: Double?
  package internal(set) var originalBitsPerCharacter: Double?
  package internal(set) var layers: [LayerCheck] = []
  /// One sentence for each thing that does not hold; the verdict is positive when there is none.
  package internal(set) var failures: [String] = []
  package internal(set) var notices: [String] = []

  package var json: JSON {
    [
      "passed": .bool(passed), "samples": .integer(samples),
      "source": .optional(source, JSON.string),
      "outputs": .array(outputs.map(\.json)), "accuracy": .optional(accuracy, JSON.real),
      "original_accuracy": .optional(originalAccuracy, JSON.real), "psnr": .optional(psnr, JSON.real),
      "original_psnr": .optional(originalPSNR, JSON.real),
      "bits_per_character": .optional(bitsPerCharacter, JSON.real),
      "original_bits_per_character": .optional(originalBitsPerCharacter, JSON.real),
      "layers": .array(layers.map(\.json)),
      "failures": .strings(failures), "notices": .strings(notices),
    ]
  }
}

/// Checks a checkpoint: an uncompressed one against reference outputs, a compressed one against its original and against what
/// apply promised.
///
/// - Throws: `Failure` where a file cannot be read or does not fit; a check that does not hold is no error but a verdict.
package func verify(
  _ request: VerifyRequest, workers: Workers, progress: Progress = .silent
) throws -> Verification {
  let checkpoint = try CheckpointSource(path: request.checkpoint, companions: request.companions).open()
  let record = try checkpoint.compressionRecord()
  let original = try Original(of: request.checkpoint, record, given: request.original, request.companions)
  var verification = Verification()
  verification.notices = original.notices

  if checkpoint.missesArchitecture {
    throw Failure(
      request.checkpoint, "cannot be verified",
      "its architecture '\(CheckpointPath(request.checkpoint).architecture)' is not beside it",
      remedy: "give what apply wrote there with --architecture")
  }
  if let record {
    verification.layers = try record.checkLayers(
      in: checkpoint, original: original.checkpoint, seed: request.seed ?? 0, workers: workers,
      progress: progress)
    verification.judgeLayers(
      record, checkpoint,
      maximumDiscrepancy: checkpoint.graph == nil && !checkpoint.isRecurrent ? request.maximumDiscrepancy : nil)
  }
  if checkpoint.isRecurrent {
    try verification.runRecurrent(checkpoint, record, original.checkpoint, request, workers: workers)
    verification.passed = verification.failures.isEmpty
    return verification
  }
  if request.text != nil {
    throw Failure(
      request.checkpoint, "has no bits per character", "it holds no character model", remedy: "leave --text out")
  }
  if checkpoint.graph != nil, record != nil, !checkpoint.isRunnable, request.networkOption == nil {
    verification.notices.append(
      "the network was not run, \(checkpoint.graph?.unsupportedNode ?? "the shape of its input is open"): every layer was checked by itself"
    )
  } else if checkpoint.graph != nil {
    try verification.runNetwork(
      checkpoint, record, original.checkpoint, request, workers: workers, progress: progress)
  } else {
    if let option = request.networkOption {
      throw Failure(
        request.checkpoint, "cannot be compared by its outputs",
        "\(option) needs the network, and \(checkpoint.graphAbsence ?? "there is no graph")",
        remedy: "give an ONNX export with --graph, or leave the option out: the layers are checked one by one")
    }
    if record == nil {
      verification.failures.append(
        "\(request.checkpoint): nothing can be verified: the file has neither a graph nor compressed layers")
    }
    verification.notices.append(
      "there is no graph, so every layer was checked by itself")
  }
  verification.passed = verification.failures.isEmpty
  return verification
}

extension VerifyRequest {
  /// An option that only makes sense when the network runs.
  fileprivate var networkOption: String? {
    if reference != nil { return "--reference" }
    if minimumAgreement != nil { return "--min-agreement" }
    return minimumAccuracy != nil ? "--min-accuracy" : nil
  }
}
