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
    let resources = PlanDocument.alternatives.filter { resource in
      points.contains { $0.costs.amounts[resource] != nil }
    }
    var headings: [(title: String, alignment: TextTable.Alignment)] = [("bytes", .right), ("loss", .right)]
    for resource in resources { headings.append((resource.heading, .right)) }
    headings += [("", .left), ("loss, logarithmic", .left)]
    var table = TextTable(headings)
    for point in rows.reversed() {
      var cells = ["\(point.costs.bytes)", Format.number(point.costs.loss)]
      for resource in resources { cells.append(point.costs.amounts[resource].map { resource.text($0) } ?? "") }
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

  /// The length of a loss's bar: none at a thousandth of the largest loss, full at the largest.
  private func length(_ loss: Double) -> Int {
    let largest = points.map(\.costs.loss).max() ?? 0
    guard loss > largest * 1e-3 else { return 0 }
    return Int((Self.width * (1 + log(loss / largest) / log(1e3))).rounded())
  }
}
