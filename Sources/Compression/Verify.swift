import Basics
import Checkpoints
import Formats
import Networks
import Running

/// What the user asks `verify` for.
package struct VerifyRequest: Job {
  package var checkpoint: String
  /// Samples and, where it holds them, the outputs to compare with.
  package var reference: String?
  /// The original checkpoint; nil takes the one that apply recorded, where it is at hand.
  package var original: String?
  package var thresholds: Thresholds
  package var preparation: SamplePreparation
  package var seed: UInt64?
  /// For a character model, the text on which its bits per character are measured.
  package var text: String?
  package var companions: Companions

  package init(
    checkpoint: String, reference: String? = nil, original: String? = nil, thresholds: Thresholds = Thresholds(),
    preparation: SamplePreparation = SamplePreparation(), seed: UInt64? = nil, text: String? = nil,
    companions: Companions = Companions()
  ) {
    self.checkpoint = checkpoint
    self.reference = reference
    self.original = original
    self.thresholds = thresholds
    self.preparation = preparation
    self.seed = seed
    self.text = text
    self.companions = companions
  }

  /// Checks a checkpoint: an uncompressed one against reference outputs, a compressed one against its original and against what
  /// apply promised.
  ///
  /// - Throws: `Failure` where a file cannot be read or does not fit; a check that does not hold is no error but a verdict.
  package func run(workers: Workers, progress: ProgressHandler) throws -> Verification {
    let checkpoint = try CheckpointSource(path: checkpoint, companions: companions).open()
    let record = try checkpoint.compressionRecord()
    let original = try Original(of: self.checkpoint, record, given: self.original, companions)
    if let record, record.hadArchitecture, checkpoint.missesArchitecture {
      throw Failure(
        self.checkpoint, "cannot be verified",
        "its architecture '\(CheckpointPath(self.checkpoint).architecture)' is not beside it",
        remedy: "give what apply wrote there with --architecture")
    }
    let kind = NetworkKinds.of(checkpoint)
    var layers: [LayerCheck] = []
    if let record {
      layers = try record.checkLayers(
        in: checkpoint, original: original.checkpoint, seed: seed ?? 0, workers: workers, progress: progress)
    }
    let examination = try kind.examined(
      examinationRequest(record), original: original.checkpoint, workers: workers, progress: progress)
    var judgement = Judgement(thresholds, record, of: checkpoint, hasSamples: reference != nil)
    judgement.judge(layers, of: checkpoint, isAlone: examination.samples == 0)
    judgement.judge(examination)
    if let record, record.layers.isEmpty, examination.samples == 0 {
      judgement.judge(checkpoint, unchangedFrom: original.checkpoint)
    }
    return Verification(
      verdict: judgement.verdict, layers: layers, examination: examination, failures: judgement.failures,
      notices: original.notices + examination.notices + judgement.notices)
  }

  private func examinationRequest(_ record: Record?) -> ExaminationRequest {
    var request = ExaminationRequest()
    request.reference = reference
    request.preparation = preparation
    request.seed = seed ?? record?.network?.seed ?? 0
    request.text = text
    request.networkOptions = [
      (reference != nil, "--reference"), (thresholds.minimumAgreement != nil, "--min-agreement"),
      (thresholds.minimumAccuracy != nil, "--min-accuracy"),
    ].filter(\.0).map(\.1)
    request.record = record
    return request
  }
}

/// What `verify` found out about everything that it looked at.
package enum Verdict: String, Sendable {
  /// Something was judged, and all of it holds.
  case passed
  /// Something does not hold.
  case failed
  /// Nothing was there to judge by: figures were measured, and nobody said what they should be.
  case measured
}

extension Record {
  /// Whether the file was written with an architecture: without one no layer is compressed and no network is run.
  fileprivate var hadArchitecture: Bool { !layers.isEmpty || network != nil || originalArchitecture != nil }
}

/// The verdict of `verify` and everything that it rests on.
package struct Verification: Sendable {
  package let verdict: Verdict
  package let layers: [LayerCheck]
  package let examination: Examination
  /// One sentence for each thing that does not hold.
  package let failures: [String]
  package let notices: [String]

  package var json: JSON {
    let passed: JSON =
      switch verdict {
      case .passed: true
      case .failed: false
      case .measured: .null
      }
    return [
      "passed": passed, "verdict": .string(verdict.rawValue), "samples": .integer(examination.samples),
      "source": .optional(examination.source, JSON.string),
      "outputs": .array(examination.outputs.map(\.json)),
      "accuracy": .optional(examination.accuracy, JSON.real),
      "original_accuracy": .optional(examination.originalAccuracy, JSON.real),
      "psnr": .optional(examination.psnr, JSON.real),
      "original_psnr": .optional(examination.originalPSNR, JSON.real),
      "bits_per_character": .optional(examination.bitsPerCharacter, JSON.real),
      "original_bits_per_character": .optional(examination.originalBitsPerCharacter, JSON.real),
      "layers": .array(layers.map(\.json)),
      "failures": .strings(failures), "notices": .strings(notices),
    ]
  }
}
