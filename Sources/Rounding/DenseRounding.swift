import Decompositions
import TensorCore

/// Rounds the rows of a kernel, its output channels, each to a grid that is chosen by the error that it causes after error feedback.
struct DenseRounding {
  let result: (integers: [Int8], scales: [Float])

  private static let damping = 0.01
  /// The steps that are tried with error feedback, as parts of the one that plain rounding in the norm's diagonal would take: errors that are
  /// fed back leave the range more often.
  private static let parts = [0.85, 0.92, 1, 1.06, 1.12, 1.2]

  /// - Throws: `Failure` where the norm's matrix has no Cholesky factor.
  init(_ objective: FitObjective, width: BitWidth) throws {
    let kernel = objective.kernel
    let channels = kernel.shape[0]
    let patch = kernel.count / max(1, channels)
    guard objective.norm > 0, patch > 0 else {
      result = (Array(repeating: 0, count: kernel.count), Array(repeating: 1, count: channels))
      return
    }
    let feedback = try objective.patchNorm.map {
      try ErrorFeedback(outer: $0.outer, inner: $0.inner, damping: Self.damping)
    }
    let weights = objective.patchNorm.map { norm in
      let (a, b) = (norm.outer.shape[0], norm.inner.shape[0])
      return (0..<patch).map { norm.outer.elements[$0 / b * (a + 1)] * norm.inner.elements[$0 % b * (b + 1)] }
    }
    var integers: [Int8] = []
    var scales: [Float] = []
    for channel in 0..<channels {
      let row = Array(kernel.elements[channel * patch..<(channel + 1) * patch])
      let candidates = Grid.candidates(row, width, 1)
      // What plain rounding takes: the step of least error in the weights.
      let plainStep = Grid.best(of: candidates, row, Array(repeating: 1, count: patch), width)
      var best = (integers: row.map { Grid.integer($0, plainStep, width) }, step: plainStep, error: Double.infinity)
      if let feedback, let weights {
        best.error = feedback.error(of: best.integers, row, Array(repeating: plainStep, count: patch))
        let center = Grid.best(of: candidates, row, weights, width)
        for part in Self.parts {
          let step = Grid.stored(center * part, 1)
          let rounded = feedback.rounded(row, steps: Array(repeating: step, count: patch), largest: width.largest)
          if rounded.errors[0] < best.error { best = (rounded.integers, step, rounded.errors[0]) }
        }
      }
      integers += best.integers
      scales.append(Float(best.step))
    }
    result = (integers, scales)
  }
}
