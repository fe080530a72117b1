import Foundation

/// Rows of text under headings, for terminals and Markdown.
package struct TextTable: Sendable {
  package enum Alignment: Sendable { case left, right }

  package let headings: [(title: String, alignment: Alignment)]
  package private(set) var rows: [[String]] = []

  package init(_ headings: [(title: String, alignment: Alignment)]) { self.headings = headings }

  /// - Precondition: one cell for each heading.
  package mutating func add(_ cells: [String]) {
    precondition(cells.count == headings.count, "a row has \(cells.count) cells, the table \(headings.count)")
    rows.append(cells)
  }

  /// Columns two spaces apart.
  package var text: String {
    let widths = headings.indices.map { column in
      ([headings[column].title] + rows.map { $0[column] }).map(\.count).max() ?? 0
    }
    return ([headings.map(\.title)] + rows).map { cells in
      let line = cells.indices.map { column in
        let space = String(repeating: " ", count: widths[column] - cells[column].count)
        return headings[column].alignment == .left ? cells[column] + space : space + cells[column]
      }.joined(separator: "  ")
      return String(line.reversed().drop { $0 == " " }.reversed())
    }.joined(separator: "\n")
  }

  package var markdown: String {
    let rule = headings.map { $0.alignment == .left ? "---" : "---:" }
    return ([headings.map(\.title), rule] + rows).map { cells in
      "| " + cells.map { $0.replacingOccurrences(of: "|", with: "\\|") }.joined(separator: " | ") + " |"
    }.joined(separator: "\n")
  }
}
