import Basics
import Foundation
import Networks
import Recurrent
import Running

/// What the user asks `rnn eval` for.
package struct RecurrentEvaluationRequest: Job {
  /// The path of a character model.
  package var model: String
  /// The path of a text.
  package var text: String
  /// The characters of a segment.
  package var steps: Int
  package var carriesState: Bool

  package init(model: String, text: String, steps: Int = 50, carriesState: Bool = false) {
    (self.model, self.text, self.steps, self.carriesState) = (model, text, steps, carriesState)
  }

  /// Measures the bits per character of the model on the text.
  ///
  /// - Throws: `Failure` where a file does not serve, or the loss is no number.
  package func run(workers: Workers, progress: ProgressHandler) throws -> RecurrentEvaluation {
    let file = try RecurrentFile(path: model)
    let text = try CharacterText(path: self.text, file.model.vocabulary)
    try text.require(steps: steps)
    let bits = try CharacterLoss.bitsPerCharacter(
      file.model, text.tokens, steps: steps, carriesState ? .carried : .reset, workers: workers)
    guard bits.isFinite else {
      throw Failure(model, "cannot be evaluated", "its loss on '\(text.path)' is no number", remedy: "train it again")
    }
    return RecurrentEvaluation(
      model: model, shape: file.model.shape, bitsPerCharacter: bits, characters: text.tokens.count,
      unknown: text.unknown,
      carriesState: carriesState, notices: file.notices + [text.notice].compactMap(\.self))
  }
}

/// What `rnn eval` measured.
package struct RecurrentEvaluation: Sendable {
  package let model: String
  package let shape: RecurrentShape
  package let bitsPerCharacter: Double
  /// The count of characters in the text.
  package let characters: Int
  /// The count of characters that the vocabulary does not have.
  package let unknown: Int
  package let carriesState: Bool
  package let notices: [String]

  package var json: JSON {
    [
      "model": .string(model), "kind": .string(shape.kind.rawValue), "parameters": .integer(shape.parameterCount),
      "bits_per_character": .real(bitsPerCharacter), "characters": .integer(characters), "unknown": .integer(unknown),
      "carry": .bool(carriesState), "notices": .strings(notices),
    ]
  }
}
