import Basics

extension PlanDocument {
  /// The document's JSON form; the same plan gives the same text.
  package var json: JSON {
    [
      "schema": .string(Self.schema),
      "checkpoint": .string(checkpoint),
      "sha256": .string(sha256),
      "budget": [
        "bytes": .optional(budget.bytes, JSON.integer), "macs": .optional(budget.macs, JSON.integer),
        "ram": .optional(budget.ram, JSON.integer), "latency": .optional(budget.latency, JSON.real),
      ],
      "predicted": predicted.json,
      "original": [
        "bytes": .integer(original.bytes), "parameters": .integer(original.parameters),
        "macs": .optional(original.macs, JSON.integer), "ram": .optional(original.ram, JSON.integer),
        "latency": .optional(original.latency, JSON.real),
      ],
      "solver": [
        "loss": .real(solver.loss), "lower_bound": .real(solver.lowerBound),
        "gap": .real(solver.gap), "optimal": .bool(solver.optimal),
      ],
      "shadow_prices": [
        "bytes": .real(prices.bytes), "macs": .real(prices.macs), "latency": .real(prices.latency),
      ],
      "options": [
        "structures": .strings(options.structures), "keep": .strings(options.keep),
        "seed": .number(String(options.seed)), "graph": .optional(options.graph, JSON.string),
        "architecture": .optional(options.architecture, JSON.string),
        "dtype": .optional(options.dtype) { .string($0.rawValue.lowercased()) },
        "calibration": .optional(options.calibration, \.json), "device": .optional(options.device, JSON.string),
        "round_to": .integer(options.rankMultiple), "rules": .array(options.rules.map(\.json)),
      ],
      "layers": .array(layers.map(\.json)),
      "kept": .array(
        kept.map { ["name": .string($0.name), "bytes": .integer($0.bytes), "reason": .string($0.reason)] }),
      "frontier": .array(frontier.map(\.json)),
    ]
  }
}

extension PlanDocument.Costs {
  var json: JSON {
    [
      "bytes": .integer(bytes), "macs": .optional(macs, JSON.integer), "ram": .optional(ram, JSON.integer),
      "latency": .optional(latency, JSON.real), "loss": .real(loss),
    ]
  }
}

extension PlanDocument.Alternative {
  package var json: JSON {
    [
      "bytes": .integer(bytes), "loss": .real(loss), "macs": .optional(macs, JSON.integer),
      "latency": .optional(latency, JSON.real), "knee": .bool(isKnee),
    ]
  }
}

extension PlanDocument.LayerPlan {
  fileprivate var json: JSON {
    [
      "name": .string(name), "operation": .string(operation), "shape": .integers(shape),
      "structure": .string(structure), "ranks": .integers(ranks),
      "shapes": .array(shapes.map { .integers($0) }), "parameters": .integer(parameters),
      "bytes": .integer(bytes), "macs": .optional(macs, JSON.integer), "loss": .real(loss),
      "discrepancy": .real(discrepancy), "reason": .optional(reason, JSON.string),
    ]
  }
}
