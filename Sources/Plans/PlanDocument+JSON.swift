import Basics
import Formats

extension PlanDocument {
  /// The resources that shadow prices are told for.
  static let priced = Resource.sums
  /// The resources of a point of the frontier beside its bytes.
  package static let alternatives = Resource.sums.filter { $0 != .bytes }

  /// The document's JSON form; the same plan gives the same text.
  package var json: JSON {
    [
      "schema": .string(Self.schema),
      "checkpoint": .string(checkpoint),
      "sha256": .string(sha256),
      "budget": .object(JSONObject(budget.pairs())),
      "predicted": predicted.json,
      "original": original.json,
      "solver": [
        "loss": .real(solver.loss), "lower_bound": .real(solver.lowerBound),
        "gap": .real(solver.gap), "optimal": .bool(solver.optimal),
      ],
      "shadow_prices": .object(
        JSONObject(
          Self.priced.map { ($0.rawValue, .real(prices[$0].required("every resource that adds up has a price"))) })),
      "options": options.json,
      "layers": .array(layers.map(\.json)),
      "kept": .array(
        kept.map { ["name": .string($0.name), "bytes": .integer($0.bytes), "reason": .string($0.reason)] }),
      "frontier": .array(frontier.map(\.json)),
    ]
  }
}

extension PlanDocument.Costs {
  package var json: JSON { .object(JSONObject(amounts.pairs() + [("loss", .real(loss))])) }
}

extension PlanDocument.Original {
  fileprivate var json: JSON {
    let pairs = amounts.pairs()
    return .object(JSONObject(pairs.prefix(1) + [("parameters", .integer(parameters))] + pairs.dropFirst()))
  }
}

extension PlanDocument.Alternative {
  package var json: JSON {
    .object(
      JSONObject(
        costs.amounts.pairs([.bytes]) + [("loss", .real(costs.loss))]
          + costs.amounts.pairs(PlanDocument.alternatives) + [("knee", .bool(isKnee))]))
  }
}

extension PlanDocument.Options {
  fileprivate var json: JSON {
    var result: JSONObject = [
      "structures": .strings(structures), "keep": .strings(keep), "seed": .seed(seed),
      "graph": .optional(graph, JSON.string), "architecture": .optional(architecture, JSON.string),
      "dtype": .optional(dtype) { .string($0.optionName) },
      "bits": .optional(bits) { .integers($0.map(\.rawValue)) },
      "calibration": .optional(calibration, \.json), "device": .optional(device, JSON.string),
      "round_to": .integer(rankMultiple), "rules": .array(rules.map(\.json)),
    ]
    for (key, value) in stateDict.pairs { result[key] = value }
    return .object(result)
  }
}

extension PlanDocument.LayerPlan {
  fileprivate var json: JSON {
    .object(
      JSONObject(
        [("name", .string(name)), ("operation", .string(operation)), ("shape", .integers(shape))] + form.pairs + [
          ("bits", .optional(storage.width) { .integer($0.rawValue) }),
          ("parameters", .integer(parameters)), ("bytes", .integer(bytes)), ("macs", .optional(macs, JSON.integer)),
          ("loss", .real(loss)), ("discrepancy", .real(discrepancy)), ("reason", .optional(reason, JSON.string)),
        ]))
  }
}
