import Foundation
import Recurrent
import Running

/// The loss of a character model on a text.
package struct CharacterLoss: Sendable {
  /// Whether the state goes on from segment to segment, or begins at zero in each, as published.
  package enum State: Sendable { case reset, carried }

  /// Rows that run together.
  private static let rows = 64

  /// The loss in bits per predicted character; NaN where the network gives one.
  ///
  /// - Parameter steps: of a segment; with a carried state it changes nothing but the work.
  /// - Throws: What a thread throws.
  package static func bitsPerCharacter(
    _ model: RecurrentModel, _ tokens: [Int], steps: Int, _ state: State, workers: Workers
  ) throws -> Double {
    let weights = RecurrentWeights(model)
    let predicted = tokens.count - 1
    guard predicted > 0 else { return .nan }
    switch state {
    case .carried:
      let pass = RecurrentPass(model.shape)
      var (loss, states) = (0.0, [Float]())
      for start in stride(from: 0, to: predicted, by: steps) {
        let result = pass.run(
          weights, Segment(tokens, starts: [start], steps: min(steps, predicted - start), states: states))
        loss += result.loss
        states = result.states
      }
      return loss / Double(predicted) / log(2)
    case .reset:
      // The rest that fills no segment is a shorter one.
      let whole = Array(stride(from: 0, through: predicted - steps, by: steps))
      var segments = stride(from: 0, to: whole.count, by: rows).map { first in
        (starts: Array(whole[first..<min(first + rows, whole.count)]), steps: steps)
      }
      let rest = predicted % steps
      if rest > 0 { segments.append(([predicted - rest], rest)) }
      let parts = (0..<workers.count).map { part in
        segments.indices.filter { $0 % workers.count == part }.map { segments[$0] }
      }
      let losses = try workers.map(parts) { part in
        let pass = RecurrentPass(model.shape)
        return part.map { pass.run(weights, Segment(tokens, starts: $0.starts, steps: $0.steps)).loss }
      }
      // In the order of the text, whatever the number of threads.
      var loss = 0.0
      for index in segments.indices { loss += losses[index % workers.count][index / workers.count] }
      return loss / Double(predicted) / log(2)
    }
  }
}
