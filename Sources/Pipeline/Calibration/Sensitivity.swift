import Basics
import Decompositions
import Foundation
import ModelGraph
import TensorCore

/// What a layer's discrepancy does to the network's outputs: the loss measured with this one layer changed, at a few points of its
/// curve, and between them a straight line over the logarithms.
struct Sensitivity: Sendable {
  /// Squared discrepancies of the layer's output with the losses, both ascending.
  private let points: [(square: Double, loss: Double)]

  /// Where fewer points are measured the loss is taken to grow with the square, as it does to first order.
  private static let leastLoss = 1e-12

  init(_ measured: [(discrepancy: Double, loss: Double)]) {
    var points: [(square: Double, loss: Double)] = []
    for (discrepancy, loss) in measured.sorted(by: { $0.discrepancy < $1.discrepancy }) where discrepancy > 0 {
      // A loss that falls with the discrepancy is noise.
      let loss = max(loss, points.last?.loss ?? 0, Self.leastLoss)
      points.append((discrepancy * discrepancy, min(loss, 1e6)))
    }
    self.points = points
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

  /// The sensitivity of every layer that has candidates, by the layer's name.
  func sensitivities(_ choices: [LayerChoices], workers: Workers, progress: Progress) throws -> [String: Sensitivity] {
    var state = try NetworkState(graph, heldOut, workers: workers)
    var result: [String: Sensitivity] = [:]
    let places = choices.filter { !$0.candidates.isEmpty }.compactMap { choice in
      uses(of: choice.layer).first.map { ($0, choice) }
    }.sorted { $0.0 < $1.0 }
    for (number, (node, choice)) in places.enumerated() {
      try state.advance(to: node, weights)
      let standing = state
      let measured = try workers.map(Self.points(choice.candidates)) { candidate in
        let kernel = try candidate.approximation(of: checkpoint.kernel(of: choice.layer))
        let weights = weights.replacing(choice.layer, by: kernel)
        return (candidate.outputDiscrepancy, loss(try standing.outputs(weights, isParallel: false)))
      }
      result[choice.layer.name] = Sensitivity(measured)
      progress("measure", number + 1, of: places.count, choice.layer.name)
    }
    return result
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
