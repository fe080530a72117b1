import Foundation
import ModelGraph

/// Numbers as people read them, the same in the terminal and in reports.
package enum Format {
  /// `1.23 MB`: decimal units, three significant digits.
  package static func bytes(_ count: Int) -> String { scaled(Double(count), ["B", "kB", "MB", "GB", "TB"]) }

  /// `12.5 M`
  package static func count(_ count: Int) -> String {
    scaled(Double(count), ["", "k", "M", "G", "T"]).trimmingCharacters(in: .whitespaces)
  }

  /// `12.3 ms`
  package static func seconds(_ seconds: Double) -> String {
    seconds < 0.9995e-3
      ? scaled(seconds * 1e6, ["us"])
      : seconds < 0.9995
        ? String(format: "%.3g ms", seconds * 1e3) : String(format: "%.3g s", seconds)
  }

  /// `12.3 %`
  package static func percent(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }

  /// Three significant digits: `0.123`, `1.2e-05`.
  package static func number(_ value: Double) -> String {
    value == 0 ? "0" : abs(value) < 1e-3 ? String(format: "%.1e", value) : String(format: "%.3f", value)
  }

  /// `3 x 3 x 16`
  package static func shape(_ shape: [Int]) -> String { shape.map(String.init).joined(separator: " x ") }

  private static func scaled(_ value: Double, _ units: [String]) -> String {
    var value = value
    var unit = 0
    while abs(value) >= 999.5, unit < units.count - 1 {
      value /= 1000
      unit += 1
    }
    let digits = unit == 0 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0
    return "\(String(format: "%.\(digits)f", value)) \(units[unit])"
  }
}

extension Stage {
  /// What the stage does, in words.
  package var sentence: String {
    switch self {
    case .convolution(let convolution):
      let window = convolution.window
      let extents = convolution.spatialExtents
      var parts = [
        extents.isEmpty ? "linear" : "convolution \(extents.map(String.init).joined(separator: "x"))",
        "\(convolution.inputChannels) -> \(convolution.outputChannels) channels",
      ]
      if convolution.groups > 1 { parts.append("\(convolution.groups) groups") }
      if convolution.batch > 1 { parts.append("one weight for \(convolution.batch) blocks of channels") }
      if window.stride.contains(where: { $0 > 1 }) { parts.append("stride \(Format.shape(window.stride))") }
      if window.dilation.contains(where: { $0 > 1 }) { parts.append("dilation \(Format.shape(window.dilation))") }
      parts.append("\(convolution.parameterCount) parameters")
      return parts.joined(separator: ", ")
    case .permutation(let axes, let order):
      return "channels seen as \(Format.shape(axes)), reordered to \(Format.shape(order.map { axes[$0] }))"
    case .bias(let channels): return "bias, \(channels) channels"
    }
  }
}

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
