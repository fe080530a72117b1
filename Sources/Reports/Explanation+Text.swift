import Basics
import Foundation
import Planning
import TensorCore

extension Explanation {
  /// The candidates as a table, the stages of the best, and its structure's curve as a picture.
  package var text: String {
    var lines = [
      "\(layer.name): \(Format.shape(layer.kernelShape)), \(layer.convolution.parameterCount) parameters, at most \(limit) asked for",
      "",
    ]
    var table = TextTable([
      ("structure", .left), ("shapes of the factors", .left), ("ranks", .left), ("parameters", .right),
      ("MACs a position", .right), ("discrepancy", .right), ("of the output", .right),
    ])
    for candidate in candidates {
      table.add([
        candidate.structure, candidate.shapes.map { $0.map(String.init).joined(separator: "x") }.joined(separator: " "),
        candidate.ranks.map(String.init).joined(separator: ", "), "\(candidate.parameterCount)",
        "\(candidate.macsPerPosition)", Format.number(candidate.discrepancy),
        isCalibrated ? Format.number(candidate.outputDiscrepancy) : "",
      ])
    }
    lines.append(table.text)
    lines += absent.map { "\($0): nothing of this size that the layer can run" }
    if candidates.count > 1 {
      let (best, second) = (candidates[0].outputDiscrepancy, candidates[1].outputDiscrepancy)
      let behind = best > 0 ? ", \(Format.percent(second / best - 1)) behind \(candidates[0].structure)" : ""
      lines += ["", "runner-up: \(candidates[1].structure)\(behind)"]
    }
    if let best = candidates.first, let larger {
      lines.append(
        "another 10 kB: \(larger.parameterCount) parameters, \(isCalibrated ? "discrepancy of the output" : "discrepancy") "
          + "\(Format.number(larger.outputDiscrepancy)) after \(Format.number(best.outputDiscrepancy))")
    }
    if !rounded.isEmpty { lines += ["", roundedTable] }
    if let best = candidates.first {
      lines += ["", "\(best.structure) runs as"]
      lines += best.stages.map { "  \($0.sentence)" }
      lines += ["", "\(best.structure) at other sizes"] + picture
    }
    return lines.joined(separator: "\n")
  }

  /// One row for each form, one column for each width: the bytes of the weights, and the discrepancy after rounding.
  private var roundedTable: String {
    var widths: [BitWidth] = []
    for width in rounded.map(\.width) where !widths.contains(width) { widths.append(width) }
    var table = TextTable([("rounded to", .left)] + widths.map { ("\($0.rawValue) bits", .right) })
    var forms: [String] = []
    for form in rounded.map(\.structure) where !forms.contains(form) { forms.append(form) }
    for form in forms {
      table.add(
        [form]
          + rounded.filter { $0.structure == form }.map {
            "\(Format.bytes($0.byteCount)), \(Format.number($0.outputDiscrepancy))"
          })
    }
    return table.text
  }

  /// One bar for each size, as long as the discrepancy there.
  private var picture: [String] {
    let width = 48.0
    return curve.reversed().map { candidate in
      let ratio = Double(layer.convolution.parameterCount) / Double(max(1, candidate.parameterCount))
      let bar = String(repeating: "#", count: Int((candidate.outputDiscrepancy * width).rounded()))
      let size = String(format: "%6.1fx %8d", ratio, candidate.parameterCount)
      return "\(size)  \(Format.number(candidate.outputDiscrepancy)) \(bar)"
    }
  }
}
