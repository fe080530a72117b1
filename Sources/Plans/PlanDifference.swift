import Basics
import Running

/// What the user asks `diff` for.
package struct DiffRequest: Job {
  /// The paths of two plans.
  package var before: String
  package var after: String

  package init(before: String, after: String) {
    self.before = before
    self.after = after
  }

  /// Compares the plans.
  ///
  /// - Throws: `Failure` where one cannot be read, or they are for different checkpoints.
  package func run(workers: Workers, progress: ProgressHandler) throws -> PlanDifference {
    try PlanDifference(PlanDocument(path: before), PlanDocument(path: after))
  }
}

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
    layers = zip(before.layers, after.layers).filter { $0.form != $1.form || $0.storage != $1.storage }.map { ($0, $1) }
  }

  package var json: JSON {
    [
      "layers": .array(
        layers.map { ["name": .string($0.before.name), "before": $0.before.summary, "after": $0.after.summary] }),
      "unchanged": .integer(before.layers.count - layers.count),
      "predicted": ["before": before.predicted.json, "after": after.predicted.json],
    ]
  }
}

extension PlanDocument.LayerPlan {
  fileprivate var summary: JSON {
    .object(
      JSONObject([
        ("structure", .string(form.structure)), ("shapes", .array(form.shapes.map(JSON.integers))),
        ("ranks", .integers(form.ranks)), ("bits", .optional(storage.width) { .integer($0.rawValue) }),
        ("parameters", .integer(parameters)), ("bytes", .integer(bytes)),
        ("macs", .optional(macs, JSON.integer)), ("loss", .real(loss)),
      ]))
  }
}
