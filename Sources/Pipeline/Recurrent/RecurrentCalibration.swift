import Basics
import Decompositions
import Recurrent
import TensorCore

/// What a second-order network's tensor sees on a text.
struct RecurrentCalibration: Sendable {
  let norm: FitNorm

  /// More characters tell nothing new of a state's second moment.
  private static let characters = 200_000
  /// The widest (state x input) whose second moment is kept whole: 8 bytes times its square.
  private static let widestPatch = 4608
  private static let (rows, steps) = (64, 50)
  /// What is added to the diagonal, as a part of its mean: characters that the text does not have count a little.
  private static let ridge = 1e-3

  /// - Parameter text: a path.
  /// - Throws: `Failure` where the text or the network does not serve.
  init(_ model: RecurrentModel, text path: String, workers: Workers) throws {
    let patch = model.shape.hidden * model.shape.inputs
    guard patch <= Self.widestPatch else {
      throw Failure(
        path, "cannot calibrate", "the tensor sees \(patch) products of states and inputs",
        remedy: "at most \(Self.widestPatch) are supported; leave --calibration out")
    }
    let text = try CharacterText(path: path, model.vocabulary)
    try text.require(steps: Self.steps)
    let tokens = Array(text.tokens.prefix(Self.characters))
    let starts = Array(stride(from: 0, through: tokens.count - 1 - Self.steps, by: Self.steps))
    let weights = RecurrentWeights(model)
    // Parts that do not depend on the number of threads.
    let parts = try workers.map([0, 1]) { part in
      let pass = RecurrentPass(model.shape)
      var moments = StateMoments(model.shape)
      for first in stride(from: part * Self.rows, to: starts.count, by: 2 * Self.rows) {
        let rows = Array(starts[first..<min(first + Self.rows, starts.count)])
        pass.observe(weights, Segment(tokens, starts: rows, steps: Self.steps), into: &moments)
      }
      return moments
    }
    var moments = parts[0]
    moments.add(parts[1])
    let second = moments.inputMoment
    guard second.isFinite, second.trace > 0 else {
      throw Failure(path, "cannot calibrate", "the network's states on it are zero, NaN or infinite")
    }
    norm = FitNorm(
      secondMoment: second.addingToDiagonal(Self.ridge * second.trace / Double(patch)),
      output: try? OutputNorm(moments.outputMoment))
  }
}
