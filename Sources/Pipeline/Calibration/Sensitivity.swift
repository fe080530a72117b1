import Basics
import Decompositions
import Foundation
import ModelGraph
import TensorCore

/// What a layer's discrepancy does to the network's outputs: the loss measured with this one layer changed, at a few points of its
/// curve, and between them a straight line over the logarithms.
struct Sensitivity: Sendable {
  /// Squared discrepancies of the layer's output with the losses, both ascending.
  private let points: [Point]

  private struct Point {
    let square: Double
    let loss: Double
  }

  /// Where fewer points are measured the loss is taken to grow with the square, as it does to first order.
  private static let leastLoss = 1e-12

  init(_ measured: [(discrepancy: Double, loss: Double)]) {
    var points: [Point] = []
    for (discrepancy, loss) in measured.sorted(by: { $0.discrepancy < $1.discrepancy }) where discrepancy > 0 {
      // A loss that falls with the discrepancy is noise.
      let loss = max(loss, points.last?.loss ?? 0, Self.leastLoss)
      points.append(Point(square: discrepancy * discrepancy, loss: min(loss, 1e6)))
    }
    self.points = points
  }

  var json: JSON { .array(points.map { [.real($0.square), .real($0.loss)] }) }

  /// Nil for what is none.
  init?(_ json: JSON) {
    guard let entries = json.array else { return nil }
    points = entries.compactMap { entry in
      guard let pair = entry.array, pair.count == 2, let square = pair[0].real, let loss = pair[1].real else {
        return nil
      }
      return Point(square: square, loss: loss)
    }
    guard points.count == entries.count else { return nil }
  }

  func loss(_ discrepancy: Double) -> Double {
    let square = discrepancy * discrepancy
    guard let first = points.first, let last = points.last, square > 0 else { return square }
    if square <= first.square { return first.loss * square / first.square }
    if square >= last.square { return last.loss * square / last.square }
    let upper = points.firstIndex { $0.square >= square } ?? points.count - 1
    let (a, b) = (points[upper - 1], points[upper])
    let part = log(square / a.square) / log(b.square / a.square)
    return exp(log(a.loss) + part * (log(b.loss) - log(a.loss)))
  }
}

extension Calibration {
  /// Measurements for one layer.
  private static let pointCount = 8

  /// What a layer's candidates do to the outputs; nil where there are none, or the graph does not use the layer.
  func sensitivity(of choices: LayerChoices, _ statistics: InputStatistics?, seed: UInt64) throws -> Sensitivity? {
    guard !choices.candidates.isEmpty, let node = firstUse(of: choices.layer) else { return nil }
    // Layers are measured side by side, each on one thread.
    var state = try NetworkState(graph, heldOut, workers: Workers(count: 1))
    try state.advance(to: node, weights)
    let kernel = try checkpoint.kernel(of: choices.layer)
    return Sensitivity(
      try Self.points(choices.candidates).map { candidate in
        let changed = try weights(
          with: candidate.approximation(of: kernel, norm: statistics?.norm, seed: seed), of: choices.layer,
          insteadOf: kernel, mean: statistics?.mean)
        return (candidate.outputDiscrepancy, loss(try state.outputs(changed)))
      })
  }

  /// Candidates that are spread evenly over the logarithm of the discrepancy.
  private static func points(_ candidates: [Candidate]) -> [Candidate] {
    let sorted = candidates.filter { $0.outputDiscrepancy > 0 }.sorted { $0.outputDiscrepancy < $1.outputDiscrepancy }
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
