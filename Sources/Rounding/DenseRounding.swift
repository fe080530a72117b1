import Decompositions
import TensorCore

/// Rounds the rows of a kernel, its output channels, each to a grid that is chosen by the error that it causes after error feedback.
struct DenseRounding {
  let result: (integers: [Int8], scales: [Float])

  private static let damping = 0.01
  /// Of the steps to try, every so many-th is tried with error feedback.
  private static let stride = 3

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
    var integers: [Int8] = []
    var scales: [Float] = []
    for channel in 0..<channels {
      let row = Array(kernel.elements[channel * patch..<(channel + 1) * patch])
      var best: (integers: [Int8], step: Double, error: Double) = ([], 1, .infinity)
      for (number, step) in Grid.candidates(row, width, 1).enumerated() {
        let steps = Array(repeating: step, count: patch)
        let plain = row.map { Grid.integer($0, step, width) }
        let error = feedback?.error(of: plain, row, steps) ?? Self.error(of: plain, row, step)
        if error < best.error { best = (plain, step, error) }
        if let feedback, number % Self.stride == 0 {
          let rounded = feedback.rounded(row, steps: steps, largest: width.largest)
          if rounded.errors[0] < best.error { best = (rounded.integers, step, rounded.errors[0]) }
        }
      }
      integers += best.integers
      scales.append(Float(best.step))
    }
    result = (integers, scales)
  }

  private static func error(of integers: [Int8], _ row: [Double], _ step: Double) -> Double {
    zip(integers, row).reduce(0) { $0 + ($1.1 - Double($1.0) * step) * ($1.1 - Double($1.0) * step) }
  }
}
