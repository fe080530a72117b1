import Basics
import Foundation

/// The account of one `apply`, in three forms with the same content: totals, layers, where the bytes went, what was measured.
struct Report {
  let result: ApplyResult
  var plan: PlanDocument { result.plan }

  init(_ result: ApplyResult) { self.result = result }

  /// Writes all three files.
  func write(to paths: ReportPaths, overwrite: Bool) throws {
    try OutputFile.write(html.utf8, to: paths.html, overwrite: overwrite)
    try OutputFile.write(markdown.utf8, to: paths.markdown, overwrite: overwrite)
    try OutputFile.write((json.text(.indented) + "\n").utf8, to: paths.json, overwrite: overwrite)
  }

  var title: String { "\((plan.checkpoint as NSString).lastPathComponent), compressed" }

  /// What the whole came to: a heading and its value each.
  var totals: [(String, String)] {
    let original = plan.original.bytes
    var rows = [
      ("file", "\(result.bytes) bytes, \(Format.percent(Double(result.bytes) / Double(original))) of \(original)"),
      ("budget", plan.budget.text),
      ("compressed layers", "\(plan.layers.filter { $0.structure != "dense" }.count) of \(plan.layers.count)"),
      (
        "loss",
        "\(Format.number(plan.solver.loss)), at least \(Format.number(plan.solver.lowerBound)) for any plan that fits (gap \(Format.percent(plan.solver.gap)))"
      ),
    ]
    if let before = plan.original.macs, let after = plan.predicted.macs {
      rows.append(
        (
          "multiply-accumulates",
          "\(Format.count(after)), \(Format.percent(Double(after) / Double(max(1, before)))) of \(Format.count(before))"
        ))
    }
    if let before = plan.original.ram, let after = plan.predicted.ram {
      rows.append(("activations alive at once", "\(Format.bytes(after)), \(Format.bytes(before)) before"))
    }
    if let before = plan.original.latency, let after = plan.predicted.latency {
      rows.append(
        ("time on \(plan.options.device ?? "the device")", "\(Format.seconds(after)), \(Format.seconds(before)) before")
      )
    }
    if let network = result.network {
      rows.append(
        (
          "network",
          "relative discrepancy \(Format.number(network.relativeDiscrepancy))"
            + (network.topOneAgreement.map { ", top-1 agreement \(Format.percent($0))" } ?? "")
            + (result.samples.map { " on \($0)" } ?? "")
        ))
    } else {
      rows.append(
        ("network", "not run: \(result.networkAbsence ?? "there is no graph"); every layer was checked by itself"))
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
        layer.structure, layer.ranks.map(String.init).joined(separator: ", "), "\(layer.parameters)",
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
