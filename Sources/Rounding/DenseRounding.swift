import Decompositions
import TensorCore

/// Rounds the rows of a kernel, its output channels, each to a grid that is chosen by the error that it causes after error feedback.
/// Where a file has one scale for a kernel, all rows have the same grid.
struct DenseRounding {
  let result: (integers: [Int8], scales: [Float], levels: Levels)

  /// The largest places that are tried with error feedback, as parts of the one that plain rounding in the norm's diagonal would take: errors
  /// that are fed back leave the range more often.
  private static let parts = [0.85, 0.92, 1, 1.06, 1.12, 1.2]

  /// - Throws: `Failure` where the norm's matrix has no Cholesky factor.
  init(_ objective: FitObjective, storage: WeightStorage) throws {
    let kernel = objective.kernel
    let channels = kernel.shape[0]
    let patch = kernel.count / max(1, channels)
    guard objective.norm > 0, patch > 0 else {
      let grid = Grid(largest: 0, storage, 1)
      result = (
        Array(repeating: 0, count: kernel.count), Array(repeating: Float(grid.step), count: channels), grid.levels
      )
      return
    }
    let feedback = try objective.patchNorm.map {
      try ErrorFeedback(outer: $0.outer, inner: $0.inner)
    }
    let weights = objective.patchNorm.map { norm in
      let (a, b) = (norm.outer.shape[0], norm.inner.shape[0])
      return (0..<patch).map { norm.outer.elements[$0 / b * (a + 1)] * norm.inner.elements[$0 % b * (b + 1)] }
    }
    var integers: [Int8] = []
    var grids: [Grid] = []
    let together = storage.hasScaleOfEachChannel ? 1 : channels
    for first in stride(from: 0, to: channels, by: together) {
      let rows = Array(kernel.elements[first * patch..<(first + together) * patch])
      let candidates = Grid.candidates(rows, storage, 1)
      // What plain rounding takes: the grid of least error in the weights.
      let plain = Grid.best(of: candidates, rows, Array(repeating: 1, count: rows.count))
      var best = (integers: rows.map { plain.integer($0) }, grid: plain, error: Double.infinity)
      if let feedback, let weights {
        best.error = stride(from: 0, to: rows.count, by: patch).reduce(0) { sum, start in
          let places = start..<start + patch
          return sum
            + feedback.error(
              of: Array(best.integers[places]), Array(rows[places]), Array(repeating: plain.step, count: patch),
              plain.levels)
        }
        let center = Grid.best(of: candidates, rows, rows.indices.map { weights[$0 % patch] })
        var tried: [Grid] = []
        for part in Self.parts {
          let grid = Grid(largest: center.largest * part, storage, 1)
          guard !tried.contains(grid) else { continue }
          tried.append(grid)
          let rounded = feedback.rounded(
            rows, steps: Array(repeating: grid.step, count: rows.count), levels: grid.levels)
          let error = rounded.errors.reduce(0, +)
          if error < best.error { best = (rounded.integers, grid, error) }
        }
      }
      integers += best.integers
      grids += Array(repeating: best.grid, count: together)
    }
    result = (integers, grids.map { Float($0.step) }, grids[0].levels)
  }
}
