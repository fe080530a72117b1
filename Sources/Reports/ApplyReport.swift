import Basics
import Compression
import Foundation
import Plans

/// The account of one `apply`, in three forms with the same content: totals, layers, where the bytes went, what was measured.
package struct ApplyReport {
  let result: ApplyResult
  var plan: PlanDocument { result.plan }

  package init(_ result: ApplyResult) { self.result = result }

  /// Writes all three files to where the result says.
  ///
  /// - Throws: `Failure` where one exists and may not be replaced, or cannot be written.
  package func write(overwrite: Bool) throws {
    try result.reports.write(html: html, markdown: markdown, json: json, overwrite: overwrite)
  }

  var title: String { "\((plan.checkpoint as NSString).lastPathComponent), compressed" }

  /// What the whole came to: a heading and its value each.
  var totals: [(String, String)] {
    let original = plan.original.bytes
    var rows = [
      ("file", "\(result.bytes) bytes, \(Format.percent(Double(result.bytes) / Double(original))) of \(original)"),
      ("budget", plan.budget.text),
      ("compressed layers", "\(plan.layers.count { !$0.isUnchanged }) of \(plan.layers.count)"),
      (
        "loss",
        "\(Format.number(plan.solver.loss)), at least \(Format.number(plan.solver.lowerBound)) for any plan that fits (gap \(Format.percent(plan.solver.gap)))"
      ),
    ]
    for resource in Resource.allCases where resource != .bytes {
      guard let before = plan.original.amounts[resource], let after = plan.predicted.amounts[resource] else { continue }
      rows.append((resource.title(device: plan.options.device), resource.text(after, before: before)))
    }
    switch result.network {
    case .compared(let comparison):
      let worst = comparison.worst
      rows.append(
        (
          "network",
          "relative discrepancy \(Format.number(worst.relativeDiscrepancy))"
            + (worst.topOneAgreement.map { ", top-1 agreement \(Format.percent($0))" } ?? "")
            + " on \(comparison.source)"
        ))
    case .absent(let reason):
      rows.append(("network", "not run: \(reason); every layer was checked by itself"))
    }
    if let calibration = result.calibration {
      rows.append(
        (
          "held-out samples",
          "\(calibration.heldOut) of \(calibration.samples): loss \(calibration.losses.map(Format.number).joined(separator: ", refitted "))"
            + ", relative discrepancy \(Format.number(calibration.discrepancy))"
            + (calibration.agreement.map { ", top-1 agreement \(Format.percent($0))" } ?? "")
        ))
    }
    rows.append(("SHA-256", result.sha256))
    return rows
  }

  var layerTable: TextTable {
    var table = TextTable([
      ("layer", .left), ("operation", .left), ("kernel", .left), ("structure", .left),
      ("ranks", .left), ("parameters", .right), ("bytes", .right), ("discrepancy", .right),
      ("measured", .right), ("loss", .right), ("measured loss", .right), ("note", .left),
    ])
    let measured = Dictionary(uniqueKeysWithValues: result.layers.map { ($0.name, $0.discrepancy) })
    for layer in plan.layers {
      table.add([
        layer.name, layer.operation.replacingOccurrences(of: "_", with: " "), Format.shape(layer.shape),
        layer.formName, layer.form.ranks.map(String.init).joined(separator: ", "), "\(layer.parameters)",
        "\(layer.bytes)", Format.number(layer.discrepancy),
        (measured[layer.name] ?? nil).map(Format.number) ?? "", Format.number(layer.loss),
        result.calibration?.layerLosses[layer.name].map(Format.number) ?? "", layer.reason ?? "",
      ])
    }
    return table
  }

  var markdown: String {
    var text = "# \(title)\n\n"
    for (heading, value) in totals { text += "- **\(heading)**: \(value)\n" }
    for notice in result.notices { text += "- note: \(notice)\n" }
    return text + "\n## Layers\n\n\(layerTable.markdown)\n"
  }

  var json: JSON {
    ["schema": "kcompress.report/1", "result": result.json, "plan": plan.json]
  }
}
