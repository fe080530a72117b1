import ArgumentParser
import Compression
import Running

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check a checkpoint against reference outputs, its original and what apply promised.",
    discussion: """
      The reference (.npz, .npy, .safetensors, .h5) holds inputs, and outputs, labels or targets. Without it seeded random \
      inputs are used. Without thresholds a compressed checkpoint must keep what apply promised, an uncompressed one \
      must give the reference outputs to 0.0001. Where there is nothing to judge by, as with labels alone, figures \
      are measured and nothing is passed. Where there is nothing to compare with at all, neither a reference nor an original, the check fails.
      """)

  @Argument(help: "The checkpoint to check.", completion: .file())
  var checkpoint: String

  @Option(help: ArgumentHelp("Samples and reference outputs.", valueName: "file"), completion: .file())
  var reference: String?

  @Option(
    help: ArgumentHelp("The original checkpoint; else the one that apply recorded.", valueName: "file"),
    completion: .file())
  var original: String?

  @Option(
    help: ArgumentHelp(
      "The largest relative discrepancy of an output; of a layer's kernel where there is no graph.", valueName: "x"))
  var maxDiscrepancy: Double?

  @Option(help: ArgumentHelp("The smallest top-1 agreement, 0 to 1.", valueName: "x"))
  var minAgreement: Double?

  @Option(help: ArgumentHelp("The smallest accuracy, 0 to 1; needs labels.", valueName: "x"))
  var minAccuracy: Double?

  @Option(help: "The seed of random inputs.")
  var seed: UInt64?

  @Option(
    help: ArgumentHelp("For a character model: the text on which bits per character are measured.", valueName: "file"),
    completion: .file())
  var text: String?

  @OptionGroup var companions: CompanionOptions
  @OptionGroup var samples: SampleOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if let maxDiscrepancy, !(maxDiscrepancy >= 0 && maxDiscrepancy.isFinite) {
      throw ValidationError("--max-discrepancy must be a number from 0, not \(maxDiscrepancy)")
    }
    for (value, name) in [(minAgreement, "--min-agreement"), (minAccuracy, "--min-accuracy")] {
      if let value, !(0...1).contains(value) {
        throw ValidationError("\(name) must be a part of 1, 0.95 say, not \(value)")
      }
    }
  }

  func run() throws {
    let request = VerifyRequest(
      checkpoint: checkpoint, reference: reference, original: original,
      thresholds: Thresholds(
        maximumDiscrepancy: maxDiscrepancy, minimumAgreement: minAgreement, minimumAccuracy: minAccuracy),
      preparation: samples.preparation, seed: seed, text: text,
      companions: companions.companions)
    let verification = try common.run(request)
    try common.show(verification.json, verification.text, notices: verification.notices)
    if verification.verdict == .failed { throw NegativeVerdict() }
  }
}
