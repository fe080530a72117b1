import Basics
import Compression
import Foundation

extension ApplyResult {
  /// The result as the terminal shows it.
  package var text: String {
    var lines = [
      isDense
        ? "\(output): \(bytes) bytes, dense: the budget is the factored file's"
        : "\(output): \(bytes) bytes, budget \(plan.budget.text)"
    ]
    if let architecture { lines.append("architecture: \(architecture)") }
    let compared = layers.compactMap(\.discrepancy)
    if let worst = compared.max() {
      lines.append("\(layers.count) layers compressed, their largest discrepancy is \(Format.number(worst))")
    } else {
      lines.append("no layer had to be compressed")
    }
    switch network {
    case .compared(let comparison):
      let worst = comparison.worst
      lines.append(
        "network: relative discrepancy \(Format.number(worst.relativeDiscrepancy))"
          + (worst.topOneAgreement.map { ", top-1 agreement \(Format.percent($0))" } ?? "")
          + " on \(comparison.source)")
    case .absent(let reason): lines.append("network: not run, \(reason); every layer was checked by itself")
    }
    if let calibration {
      lines.append(
        "calibration: loss \(calibration.losses.map(Format.number).joined(separator: ", then "))"
          + (calibration.agreement.map { ", top-1 agreement \(Format.percent($0))" } ?? "")
          + " on \(calibration.heldOut) samples held out of \(calibration.samples)")
    }
    lines.append("report: \(reports.html)")
    return lines.joined(separator: "\n")
  }
}
