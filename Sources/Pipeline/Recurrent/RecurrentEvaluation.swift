import Basics
import Foundation
import Recurrent

/// What `rnn eval` measured.
package struct RecurrentEvaluation: Sendable {
  package let model: String
  package let shape: RecurrentShape
  package let bitsPerCharacter: Double
  /// In the text.
  package let characters: Int
  /// Of these, not in the vocabulary.
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

/// The bits per character of a model on a text.
///
/// - Parameter steps: of a segment.
/// - Throws: `Failure` where a file does not serve, or the loss is no number.
package func evaluateRecurrent(
  model path: String, text: String, steps: Int = 50, carriesState: Bool = false, workers: Workers
) throws -> RecurrentEvaluation {
  let file = try RecurrentFile(path: path)
  let text = try CharacterText(path: text, file.model.vocabulary)
  try text.require(steps: steps)
  let bits = try CharacterLoss.bitsPerCharacter(
    file.model, text.tokens, steps: steps, carriesState ? .carried : .reset, workers: workers)
  guard bits.isFinite else {
    throw Failure(path, "cannot be evaluated", "its loss on '\(text.path)' is no number", remedy: "train it again")
  }
  return RecurrentEvaluation(
    model: path, shape: file.model.shape, bitsPerCharacter: bits, characters: text.tokens.count, unknown: text.unknown,
    carriesState: carriesState, notices: file.notices + [text.notice].compactMap(\.self))
}

/// Text as a model writes it, one character after the other.
///
/// - Parameters:
///   - prime: what it reads first; unknown characters count as one symbol.
///   - temperature: above 1 for more surprise, below for less.
/// - Throws: `Failure` where the file does not serve, or a probability is no number.
package func sampleRecurrent(
  model path: String, length: Int, prime: String = "\n", temperature: Double = 1, seed: UInt64 = 0
) throws -> (text: String, notices: [String]) {
  let file = try RecurrentFile(path: path)
  let weights = RecurrentWeights(file.model)
  let pass = RecurrentPass(file.model.shape)
  var generator = SplitMix64(seed: seed)
  var (states, probabilities) = ([Float](), [Double]())
  /// Reads a symbol; what may follow is in `probabilities` then.
  func read(_ symbol: Int) throws {
    let result = pass.logits(weights, Segment([symbol, Vocabulary.unknown], starts: [0], steps: 1, states: states))
    states = result.states
    var logits = result.logits.elements.map { Double($0) / temperature }
    // A model writes only what it can name.
    logits[Vocabulary.unknown] = -.infinity
    let peak = logits.max() ?? 0
    probabilities = logits.map { exp($0 - peak) }
    guard probabilities.reduce(0, +).isFinite else {
      throw Failure(path, "cannot be sampled", "its probabilities are no numbers", remedy: "train it again")
    }
  }
  for symbol in file.model.vocabulary.encode(prime) { try read(symbol) }
  var text = String.UnicodeScalarView()
  for _ in 0..<length {
    var left = generator.nextUniform() * probabilities.reduce(0, +)
    let drawn = probabilities.indices.first { index in
      left -= probabilities[index]
      return left < 0
    }
    let symbol = drawn ?? probabilities.count - 1
    text.append(file.model.vocabulary[symbol])
    try read(symbol)
  }
  return (String(text), file.notices)
}
