import Decompositions
import TensorCore

/// Rounds the rows of a kernel, its output channels, each to a grid that is chosen by the error that it causes after error feedback. Then
/// integers and steps are improved together.
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
    let together = storage.hasScaleOfEachChannel ? 1 : channels
    var chosen: [(integers: [Int8], grid: Grid)] = []
    for first in stride(from: 0, to: channels, by: together) {
      let rows = Array(kernel.elements[first * patch..<(first + together) * patch])
      let candidates = Grid.candidates(rows, storage, 1)
      // What plain rounding takes: the grid of least error in the weights.
      let plain = Grid.best(of: candidates, rows, Array(repeating: 1, count: rows.count))
      var best = (integers: rows.map { plain.integer($0) }, grid: plain)
      if let feedback, let weights {
        var least = stride(from: 0, to: rows.count, by: patch).reduce(0) { sum, start in
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
          if error < least { (best, least) = ((rounded.integers, grid), error) }
        }
      }
      chosen.append(best)
    }
    var (integers, steps) = (chosen.flatMap(\.integers), chosen.map(\.grid.step))
    let levels = chosen[0].grid.levels
    if let feedback {
      var descent = GridDescent(
        feedback, kernel.elements, integers, channels: kernel.elements.indices.map { $0 / patch / together },
        steps: steps, levels: levels)
      descent.run(storable: Grid.storable(storage, 1))
      (integers, steps) = (descent.integers, descent.steps)
    }
    result = (integers, steps.flatMap { Array(repeating: Float($0), count: together) }, levels)
  }
}
