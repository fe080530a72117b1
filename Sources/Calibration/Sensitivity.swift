import Basics
import Foundation

/// What a layer's discrepancy does to the network's outputs: the loss measured with this one layer changed, at a few points of its
/// curve, and between them a straight line over the logarithms.
package struct Sensitivity: Sendable {
  /// Squared discrepancies of the layer's output with the losses, both ascending.
  private let points: [Point]

  private struct Point {
    let square: Double
    let loss: Double
  }

  /// Where fewer points are measured the loss is taken to grow with the square, as it does to first order.
  private static let leastLoss = 1e-12

  package init(_ measured: [(discrepancy: Double, loss: Double)]) {
    var points: [Point] = []
    for (discrepancy, loss) in measured.sorted(by: { $0.discrepancy < $1.discrepancy }) where discrepancy > 0 {
      // A loss that falls with the discrepancy is noise.
      let loss = max(loss, points.last?.loss ?? Self.leastLoss)
      points.append(Point(square: discrepancy * discrepancy, loss: min(loss, 1e6)))
    }
    self.points = points
  }

  package var json: JSON { .array(points.map { [.real($0.square), .real($0.loss)] }) }

  /// Reads what `json` states; nil where the JSON is none.
  package init?(_ json: JSON) {
    guard let entries = json.array else { return nil }
    points = entries.compactMap { entry in
      guard let pair = entry.array, pair.count == 2, let square = pair[0].real, let loss = pair[1].real else {
        return nil
      }
      return Point(square: square, loss: loss)
    }
    guard points.count == entries.count else { return nil }
  }

  package func loss(_ discrepancy: Double) -> Double {
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
