import Basics
import Foundation
import Plans

extension PlanDocument {
  /// The plan as the terminal shows it.
  ///
  /// - Parameter path: where it was written.
  package func text(path: String) -> String {
    var table = TextTable([
      ("layer", .left), ("kernel", .left), ("structure", .left), ("ranks", .left),
      ("parameters", .right), ("bytes", .right), ("discrepancy", .right), ("note", .left),
    ])
    for layer in layers {
      table.add([
        layer.name, Format.shape(layer.shape),
        layer.formName,
        layer.form.ranks.map(String.init).joined(separator: ", "), "\(layer.parameters)", "\(layer.bytes)",
        layer.isUnchanged ? "" : Format.number(layer.discrepancy), layer.reason ?? "",
      ])
    }
    return ([table.text, ""] + totals + ["plan: \(path)"]).joined(separator: "\n")
  }

  private var totals: [String] {
    let isCompressed = layers.contains { !$0.isUnchanged }
    var lines = [
      "file: \(predicted.bytes) bytes" + (budget[count: .bytes].map { " of \($0) allowed" } ?? "")
        + " (now \(original.bytes)); "
        + "loss \(Format.number(solver.loss)), gap to the optimum at most \(String(format: "%.2g %%", 100 * solver.gap))"
    ]
    for resource in Resource.allCases where resource != .bytes {
      guard let amount = predicted.amounts[resource] else { continue }
      let now = original.amounts[resource]
      let savesNothing = isCompressed && now.map { amount >= $0 } ?? false
      lines.append(
        "\(resource.title(device: options.device)): \(resource.text(amount))"
          + (budget[resource].map { " of \(resource.text($0)) allowed" } ?? "")
          + (now.map { " (now \(resource.text($0)))" } ?? "")
          + (savesNothing ? resource.remarkWhereNothingIsSaved : ""))
    }
    for resource in Resource.sums {
      guard let (amount, step) = resource.step, let price = prices[resource], price * amount > 1e-3 * solver.loss else {
        continue
      }
      lines.append("another \(step) would take some \(Format.number(min(solver.loss, price * amount))) off the loss")
    }
    let sizes = Dictionary(grouping: kept) { $0.reason.hasPrefix("the bias of") ? "biases" : $0.reason }
    if !kept.isEmpty {
      let parts = sizes.sorted { $0.key < $1.key }.map { "\($0.value.count): \($0.key)" }
      lines.append(
        "\(kept.count) other tensors are kept, \(kept.reduce(0) { $0 + $1.bytes }) bytes (\(parts.joined(separator: "; ")))"
      )
    }
    if options.calibration == nil, isCompressed {
      lines.append(
        "planned on the weights alone; samples of what the network will see keep more accuracy (--calibration)")
    }
    return lines
  }
}

extension PlanDocument.LayerPlan {
  /// The structure, with the bits of its numbers where they are not of the layer's own type: `svd 6 bit`.
  var formName: String { form.structure + (storage.width.map { " \($0.rawValue) bit" } ?? "") }
}

extension Resource {
  /// What a summary adds where a plan does not save what people expect it to.
  fileprivate var remarkWhereNothingIsSaved: String {
    switch self {
    case .macs: ": the plan saves bytes but no operations"
    case .latency: ": the plan saves bytes but no time"
    case .bytes, .ram: ""
    }
  }
}
