import Basics
import Checkpoints
import Decompositions
import Foundation
import Recurrent
import TensorCore

/// Sequences on which two character models are compared.
struct Sequences: Sendable {
  let segment: Segment
  /// Where they come from, for messages.
  let source: String

  private static let (rows, steps) = (16, 50)

  /// Seeded random symbols.
  init(seed: UInt64, symbols: Int) {
    var generator = SplitMix64(seed: seed)
    let tokens = (0..<Self.rows * (Self.steps + 1)).map { _ in Int(generator.nextUniform() * Double(symbols)) }
    segment = Segment(tokens, starts: (0..<Self.rows).map { $0 * (Self.steps + 1) }, steps: Self.steps)
    source = "\(Self.rows) sequences of \(Self.steps) seeded random characters (seed \(seed))"
  }

  /// ||y - y_ref|| / ||y_ref|| and more of the logits.
  func compare(_ model: RecurrentModel, _ reference: RecurrentModel) -> OutputComparison {
    func logits(_ model: RecurrentModel) -> Tensor<Float> {
      RecurrentPass(model.shape).logits(RecurrentWeights(model), segment).logits
    }
    return OutputComparison(name: "logits", logits(model), reference: logits(reference))
  }
}

extension Checkpoint {
  /// Whether the file holds a character model.
  var isRecurrent: Bool { metadata?[RecurrentModel.metadataKey] != nil }
}

extension Verification {
  private static let segmentSteps = 50

  /// Runs a character model and its original on sequences and, where there is one, on a text.
  mutating func runRecurrent(
    _ checkpoint: Checkpoint, _ record: Record?, _ original: Checkpoint?, _ request: VerifyRequest, workers: Workers
  ) throws {
    if request.reference != nil || request.minimumAccuracy != nil {
      throw Failure(
        request.checkpoint, "cannot be compared so",
        "it is a character model, and --reference and --min-accuracy are for others",
        remedy: "give a text with --text")
    }
    let file = try RecurrentFile(checkpoint)
    notices += file.notices
    let before = try original.map { try RecurrentFile($0).model }
    if let before {
      let sequences = Sequences(seed: request.seed ?? record?.network?.seed ?? 0, symbols: file.model.shape.inputs)
      guard before.vocabulary == file.model.vocabulary else {
        throw Failure(request.checkpoint, "cannot be compared with its original", "their vocabularies differ")
      }
      samples = sequences.segment.rows
      source = sequences.source
      outputs = [sequences.compare(file.model, before)]
      judgeOutputs(request, record)
    }
    if let path = request.text {
      let text = try CharacterText(path: path, file.model.vocabulary)
      try text.require(steps: Self.segmentSteps, isChosen: false)
      notices += [text.notice].compactMap(\.self)
      func bits(_ model: RecurrentModel) throws -> Double {
        try CharacterLoss.bitsPerCharacter(
          model, text.tokens, steps: Self.segmentSteps, .reset, workers: workers)
      }
      let own = try bits(file.model)
      bitsPerCharacter = own
      originalBitsPerCharacter = try before.map(bits)
      if !own.isFinite { failures.append("bits per character: the loss on '\(path)' is no number") }
    } else if before == nil {
      failures.append(
        "\(request.checkpoint): there is nothing to compare with: neither the original nor a text is at hand")
    }
  }
}
