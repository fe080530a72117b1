import Basics
import Calibration
import Checkpoints
import Plans
import Recurrent
import Running
import TensorCore

/// A recurrent character model, which runs on text.
package struct CharacterNetwork: NetworkKind {
  private let checkpoint: Checkpoint

  /// The characters of a segment when a text is judged; its state begins at zero, as published.
  private static let segmentSteps = 50

  package init?(_ checkpoint: Checkpoint) {
    guard checkpoint.holdsCharacterModel else { return nil }
    self.checkpoint = checkpoint
  }

  package var runsOnRandomInputs: Bool { true }

  package var comparesOnData: Bool { false }

  package func calibrator(_ source: CalibrationSource, workers: Workers) throws -> any Calibrator {
    let model = try RecurrentFile(checkpoint).model
    guard model.shape.kind.bilinear == .tensor else {
      throw Failure(
        checkpoint.path, "cannot be calibrated", "a \(model.shape.kind.rawValue) has no third-order tensor",
        remedy: "leave --calibration out")
    }
    return CharacterCalibrator(
      checkpoint: checkpoint, calibration: try RecurrentCalibration(model, text: source.path, workers: workers),
      workers: workers)
  }

  package func compared(
    with original: Checkpoint, on inputs: ComparisonInputs, workers: Workers, progress: ProgressHandler
  ) throws -> NetworkComparison {
    let before = try RecurrentFile(original).model
    switch inputs {
    case .random(let seed, _):
      return Sequences(seed: seed, symbols: before.shape.inputs).compare(try RecurrentFile(checkpoint).model, before)
    case .data(let source):
      throw Failure(
        source.path, "is not compared on", "what a text says of a character model is its bits per character",
        remedy: "run verify with --text")
    }
  }

  package func examined(
    _ request: ExaminationRequest, original: Checkpoint?, workers: Workers, progress: ProgressHandler
  ) throws -> Examination {
    if let option = request.networkOptions.first(where: { $0 != "--min-agreement" }) {
      throw Failure(
        checkpoint.path, "cannot be compared so", "it is a character model, and \(option) is for others",
        remedy: "give a text with --text")
    }
    let file = try RecurrentFile(checkpoint)
    var result = Examination()
    result.notices = file.notices
    let before = try original.map { try RecurrentFile($0).model }
    if let before {
      guard before.vocabulary == file.model.vocabulary else {
        throw Failure(checkpoint.path, "cannot be compared with its original", "their vocabularies differ")
      }
      let comparison = Sequences(seed: request.seed, symbols: file.model.shape.inputs).compare(file.model, before)
      (result.samples, result.source, result.outputs) = (comparison.samples, comparison.source, comparison.outputs)
    }
    if let path = request.text {
      let text = try CharacterText(path: path, file.model.vocabulary)
      try text.require(steps: Self.segmentSteps, isChosen: false)
      result.notices += [text.notice].compactMap(\.self)
      func bits(_ model: RecurrentModel) throws -> Double {
        try CharacterLoss.bitsPerCharacter(
          model, text.tokens, steps: Self.segmentSteps, .reset, workers: workers)
      }
      let own = try bits(file.model)
      result.bitsPerCharacter = own
      result.originalBitsPerCharacter = try before.map(bits)
      if !own.isFinite { result.failures.append("bits per character: the loss on '\(path)' is no number") }
    } else if before == nil {
      result.failures.append(
        "\(checkpoint.path): there is nothing to compare with: neither the original nor a text is at hand")
    }
    return result
  }
}

/// Sequences on which two character models are compared.
private struct Sequences: Sendable {
  let segment: Segment
  let source: String

  private static let (rows, steps) = (16, 50)

  /// Seeded random symbols.
  init(seed: UInt64, symbols: Int) {
    var generator = SplitMix64(seed: seed)
    let tokens = (0..<Self.rows * (Self.steps + 1)).map { _ in Int(generator.nextUniform() * Double(symbols)) }
    segment = Segment(tokens, starts: (0..<Self.rows).map { $0 * (Self.steps + 1) }, steps: Self.steps)
    source = "\(Self.rows) sequences of \(Self.steps) seeded random characters (seed \(seed))"
  }

  /// The logits of both models.
  func compare(_ model: RecurrentModel, _ reference: RecurrentModel) -> NetworkComparison {
    func logits(_ model: RecurrentModel) -> Tensor<Float> {
      RecurrentPass(model.shape).logits(RecurrentWeights(model), segment).logits
    }
    return NetworkComparison(
      outputs: [OutputComparison(name: "logits", logits(model), reference: logits(reference))],
      samples: segment.rows, source: source)
  }
}
