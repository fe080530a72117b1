import Basics

/// Where two plans for one checkpoint differ.
package struct PlanDifference: Sendable {
  package let before: PlanDocument
  package let after: PlanDocument
  /// The layers whose structure, shapes or ranks differ.
  package let layers: [(before: PlanDocument.LayerPlan, after: PlanDocument.LayerPlan)]

  /// - Throws: `Failure` where the plans are for different checkpoints.
  package init(_ before: PlanDocument, _ after: PlanDocument) throws {
    guard before.sha256 == after.sha256, before.layers.map(\.name) == after.layers.map(\.name) else {
      throw Failure(
        "the plans", "cannot be compared", "they are for different checkpoints",
        remedy: "give two plans for one checkpoint")
    }
    self.before = before
    self.after = after
    layers = zip(before.layers, after.layers).filter { $0.form != $1.form }.map { ($0, $1) }
  }

  package var json: JSON {
    [
      "layers": .array(
        layers.map { ["name": .string($0.before.name), "before": $0.before.summary, "after": $0.after.summary] }),
      "unchanged": .integer(before.layers.count - layers.count),
      "predicted": ["before": before.predicted.json, "after": after.predicted.json],
    ]
  }

  package var text: String {
    var table = TextTable([
      ("layer", .left), ("before", .left), ("after", .left), ("parameters", .right), ("loss", .right),
    ])
    for (before, after) in layers {
      table.add([
        before.name, before.form, after.form, "\(before.parameters) -> \(after.parameters)",
        "\(Format.number(before.loss)) -> \(Format.number(after.loss))",
      ])
    }
    func change(_ name: String, _ values: (String?, String?)) -> String? {
      guard let before = values.0, let after = values.1 else { return nil }
      return "\(name): \(before) -> \(after)"
    }
    let (old, new) = (before.predicted, after.predicted)
    let totals = [
      change("bytes", ("\(old.bytes)", "\(new.bytes)")),
      change("loss", (Format.number(old.loss), Format.number(new.loss))),
      change("multiply-accumulates", (old.macs.map(Format.count), new.macs.map(Format.count))),
      change("activations", (old.ram.map(Format.bytes), new.ram.map(Format.bytes))),
      change("time", (old.latency.map(Format.seconds), new.latency.map(Format.seconds))),
    ].compactMap(\.self)
    let unchanged = "\(before.layers.count - layers.count) layers are the same"
    return ((layers.isEmpty ? [] : [table.text, ""]) + [unchanged] + totals).joined(separator: "\n")
  }
}

extension PlanDocument.LayerPlan {
  /// `tr 4, 8, 8`, with the shapes of the factors where two plans may differ in these alone.
  fileprivate var form: String {
    guard structure != "dense" else { return structure }
    let shapes = shapes.map { $0.map(String.init).joined(separator: "x") }.joined(separator: " ")
    return "\(structure) \(ranks.map(String.init).joined(separator: ", ")) of \(shapes)"
  }

  fileprivate var summary: JSON {
    [
      "structure": .string(structure), "shapes": .array(shapes.map(JSON.integers)), "ranks": .integers(ranks),
      "parameters": .integer(parameters), "bytes": .integer(bytes), "macs": .optional(macs, JSON.integer),
      "loss": .real(loss),
    ]
  }
}
