import Basics
import Foundation
import Plans

/// What every size of the file buys, as a table with a picture.
package struct FrontierText {
  private let points: [PlanDocument.Alternative]
  private static let rowCount = 24
  private static let width = 40.0

  package init(_ points: [PlanDocument.Alternative]) { self.points = points }

  /// The table.
  package var text: String {
    guard !points.isEmpty else { return "no layer can be compressed" }
    let hasMACs = points.contains { $0.costs.amounts[.macs] != nil }
    let hasTime = points.contains { $0.costs.amounts[.latency] != nil }
    var headings: [(title: String, alignment: TextTable.Alignment)] = [("bytes", .right), ("loss", .right)]
    if hasMACs { headings.append(("MACs", .right)) }
    if hasTime { headings.append(("time", .right)) }
    headings += [("", .left), ("loss, logarithmic", .left)]
    var table = TextTable(headings)
    for point in rows.reversed() {
      var cells = ["\(point.costs.bytes)", Format.number(point.costs.loss)]
      if hasMACs { cells.append(point.costs.amounts[count: .macs].map(Format.count) ?? "") }
      if hasTime { cells.append(point.costs.amounts[.latency].map(Format.seconds) ?? "") }
      cells += [point.isKnee ? "knee" : "", String(repeating: "#", count: length(point.costs.loss))]
      table.add(cells)
    }
    return table.text
  }

  /// The knees and as many others as the table takes, evenly spread.
  private var rows: [PlanDocument.Alternative] {
    let step = max(1, (points.count + Self.rowCount - 1) / Self.rowCount)
    return points.enumerated().filter { $0.offset % step == 0 || $0.element.isKnee || $0.offset == points.count - 1 }
      .map(\.element)
  }

  /// From a thousandth of the largest loss, which has no bar, to the largest.
  private func length(_ loss: Double) -> Int {
    let largest = points.map(\.costs.loss).max() ?? 0
    guard loss > largest * 1e-3 else { return 0 }
    return Int((Self.width * (1 + log(loss / largest) / log(1e3))).rounded())
  }
}
