import Basics
import Decompositions
import LinearAlgebra
import Recurrent
import Running
import TensorCore

/// What a second-order network's tensor sees on a text: the norm of its fits, and what V and U can make up for.
///
/// Of z = h (x) x, the products that the tensor sees, a part P w follows from w = (h, x), which V and U see. What a factored tensor loses
/// there they give back, so only the rest z - P w counts in the norm: S - E[z w^T] E[w w^T]^-1 E[w z^T].
package struct RecurrentCalibration: Sendable {
  package let norm: FitNorm
  /// P (n d x n + d); nil without linear terms.
  private let projection: Tensor<Double>?

  /// More characters tell nothing new of a state's second moment.
  private static let characters = 200_000
  /// The widest (state x input) whose second moment is kept whole: 8 bytes times its square.
  private static let widestPatch = 4608
  private static let (rows, steps) = (64, 50)
  /// What is added to the diagonal, as a part of its mean: characters that the text does not have count a little.
  private static let ridge = 1e-3

  /// - Parameter text: a path.
  /// - Throws: `Failure` where the text or the network does not serve.
  package init(_ model: RecurrentModel, text path: String, workers: Workers) throws {
    let patch = model.shape.hidden * model.shape.inputs
    guard patch <= Self.widestPatch else {
      throw Failure(
        path, "cannot calibrate", "the tensor sees \(patch) products of states and inputs",
        remedy: "at most \(Self.widestPatch) are supported; leave --calibration out")
    }
    let text = try CharacterText(path: path, model.vocabulary)
    try text.require(steps: Self.steps, isChosen: false)
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
    var second = moments.inputMoment
    guard second.isFinite, second.trace > 0 else {
      throw Failure(path, "cannot calibrate", "the network's states on it are zero, NaN or infinite")
    }
    if model.shape.kind.hasLinearTerms {
      let linear = moments.linearMoment
      let cross = moments.crossMoment
      let own = try Cholesky(linear, ridge: Self.ridge * linear.trace / Double(linear.shape[0])).solve(rows: cross)
      second = second.subtracting(own.times(cross, otherTransposed: true))
      projection = own
    } else {
      projection = nil
    }
    // A decoder of zeros counts no error of the states; then all count alike.
    let outputs = moments.outputMoment
    norm = FitNorm(
      secondMoment: second.addingToDiagonal(Self.ridge * second.trace / Double(patch)),
      output: outputs.isFinite && outputs.trace > 0 ? try ModeNorm(outputs) : nil)
  }

  /// What to add to V (n x n) and U (n x d), the best linear terms can do for a tensor that lacks `error` (n, n, d); nil without linear
  /// terms.
  package func correction(for error: Tensor<Double>) -> (hidden: Tensor<Double>, input: Tensor<Double>)? {
    guard let projection else { return nil }
    let n = error.shape[0]
    let both = error.reshaped([n, error.count / n]).times(projection).permuted([1, 0])
    func rows(_ range: Range<Int>) -> Tensor<Double> {
      Tensor(shape: [range.count, n], elements: Array(both.elements[range.lowerBound * n..<range.upperBound * n]))
        .permuted([1, 0])
    }
    return (rows(0..<n), rows(n..<both.shape[0]))
  }
}
