import Decompositions
import Foundation
import ModelGraph
import Running

extension GraphCalibration {
  /// Measurements for one layer.
  private static let pointCount = 8

  /// What a layer's approximations do to the outputs; nil where there are none, or the graph does not use the layer.
  ///
  /// - Throws: `Failure` where the network cannot be run, or LAPACK does not converge.
  package func sensitivity(
    of layer: Layer, _ approximations: [KernelApproximation], _ statistics: InputStatistics?
  ) throws -> Sensitivity? {
    guard !approximations.isEmpty, let node = firstUse(of: layer) else { return nil }
    // Layers are measured side by side, each on one thread.
    var state = try NetworkState(graph, heldOut, workers: Workers(count: 1))
    try state.advance(to: node, weights)
    let kernel = try checkpoint.kernel(of: layer)
    return Sensitivity(
      try Self.points(approximations).map { approximation in
        let changed = try weights(
          with: approximation.kernel(), of: layer, insteadOf: kernel, mean: statistics?.mean)
        return (approximation.outputDiscrepancy, loss(try state.outputs(changed)))
      })
  }

  /// Approximations that are spread evenly over the logarithm of the discrepancy.
  private static func points(_ approximations: [KernelApproximation]) -> [KernelApproximation] {
    let sorted = approximations.filter { $0.outputDiscrepancy > 0 }.sorted {
      $0.outputDiscrepancy < $1.outputDiscrepancy
    }
    guard sorted.count > pointCount, let first = sorted.first, let last = sorted.last else { return sorted }
    let (low, high) = (log(first.outputDiscrepancy), log(last.outputDiscrepancy))
    var picked: [Int] = []
    for step in 0..<pointCount {
      let target = low + (high - low) * Double(step) / Double(pointCount - 1)
      let nearest = sorted.indices.min { a, b in
        abs(log(sorted[a].outputDiscrepancy) - target) < abs(log(sorted[b].outputDiscrepancy) - target)
      }
      if let nearest, picked.last != nearest { picked.append(nearest) }
    }
    return picked.map { sorted[$0] }
  }
}
