import Basics
import Foundation
import Networks
import Recurrent
import Running

/// What the user asks `rnn sample` for: text as a model writes it, one character after the other.
package struct RecurrentSamplingRequest: Job {
  /// The path of a character model.
  package var model: String
  /// The characters to write.
  package var length: Int
  /// What the model reads first; unknown characters count as one symbol.
  package var prime: String
  /// The temperature of the softmax: above 1 for more surprise, below for less.
  package var temperature: Double
  package var seed: UInt64

  package init(model: String, length: Int, prime: String = "\n", temperature: Double = 1, seed: UInt64 = 0) {
    (self.model, self.length, self.prime, self.temperature, self.seed) = (model, length, prime, temperature, seed)
  }

  /// Writes the text.
  ///
  /// - Throws: `Failure` where the file does not serve, or a probability is no number.
  package func run(workers: Workers, progress: ProgressHandler) throws -> RecurrentSample {
    let file = try RecurrentFile(path: model)
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
        throw Failure(model, "cannot be sampled", "its probabilities are no numbers", remedy: "train it again")
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
    return RecurrentSample(text: String(text), seed: seed, notices: file.notices)
  }
}

/// What `rnn sample` wrote.
package struct RecurrentSample: Sendable {
  package let text: String
  package let seed: UInt64
  package let notices: [String]

  package var json: JSON { ["text": .string(text), "seed": .seed(seed)] }
}
