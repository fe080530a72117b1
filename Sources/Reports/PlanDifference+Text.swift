import Basics
import Plans

extension PlanDifference {
  /// The layers that differ as a table, and the totals.
  package var text: String {
    var table = TextTable([
      ("layer", .left), ("before", .left), ("after", .left), ("parameters", .right), ("loss", .right),
    ])
    for (before, after) in layers {
      table.add([
        before.name, before.form.text, after.form.text, "\(before.parameters) -> \(after.parameters)",
        "\(Format.number(before.loss)) -> \(Format.number(after.loss))",
      ])
    }
    func change(_ name: String, _ before: String, _ after: String) -> String { "\(name): \(before) -> \(after)" }
    let (old, new) = (before.predicted, after.predicted)
    let totals =
      [
        change("bytes", "\(old.bytes)", "\(new.bytes)"),
        change("loss", Format.number(old.loss), Format.number(new.loss)),
      ]
      + Resource.allCases.filter { $0 != .bytes }.compactMap { resource in
        guard let was = old.amounts[resource], let now = new.amounts[resource] else { return nil }
        return change(resource.title(device: after.options.device), resource.text(was), resource.text(now))
      }
    let unchanged = "\(before.layers.count - layers.count) layers are the same"
    return ((layers.isEmpty ? [] : [table.text, ""]) + [unchanged] + totals).joined(separator: "\n")
  }
}
