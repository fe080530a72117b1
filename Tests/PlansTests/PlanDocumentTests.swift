import Basics
import TestSupport
import Testing

@testable import Plans

@Suite struct PlanDocumentTests {
  private static let plan = PlanDocument(
    checkpoint: "model.h5", sha256: String(repeating: "ab", count: 32),
    budget: [.bytes: 1000],
    predicted: .init([.bytes: 900, .macs: 1234], loss: 0.0625),
    original: .init([.bytes: 2000, .macs: 2345, .ram: 4000], parameters: 480),
    solver: .init(loss: 0.0625, lowerBound: 0.05, gap: 0.2, optimal: false),
    prices: [.bytes: 0.001, .macs: 0, .latency: 0],
    layers: [
      .init(
        name: "conv", operation: "convolution", shape: [8, 4, 3, 3],
        form: .factored(structure: "cp", ranks: [5], shapes: [[8, 1, 1, 1], [1, 4, 1, 1], [1, 1, 3, 3]]),
        parameters: 105, bytes: 420, macs: 1234, loss: 0.0625,
        discrepancy: 0.25, reason: nil),
      .init(
        name: "dense \"1\"", operation: "linear", shape: [2, 8], form: .dense,
        parameters: 18, bytes: 72, macs: nil, loss: 0, discrepancy: 0, reason: "kept by --keep 'dense*'"),
    ],
    kept: [.init(name: "conv/bias:0", bytes: 32, reason: "the bias of layer 'conv'")],
    options: .init(
      structures: ["cp", "svd"], keep: ["dense*"], seed: .max, graph: nil, architecture: nil, dtype: nil,
      calibration: nil,
      device: nil, rankMultiple: 4, rules: []),
    frontier: [
      .init(.init([.bytes: 500], loss: 0.5), isKnee: false),
      .init(.init([.bytes: 900, .macs: 1234], loss: 0.0625), isKnee: true),
    ])

  @Test func comesBackAsItWas() throws {
    let text = Self.plan.json.text(.indented)
    #expect(try PlanDocument(json: JSON(parsing: Array(text.utf8))) == Self.plan)
  }

  /// Every key of every level: removed or renamed, the plan is refused.
  @Test func everyKeyCounts() throws {
    func variants(_ json: JSON) -> [JSON] {
      switch json {
      case .object(let object):
        object.pairs.flatMap { key, value -> [JSON] in
          var missing = object
          missing[key] = nil
          var renamed = missing
          renamed[key + "x"] = value
          let inside = variants(value).map { inner -> JSON in
            var changed = object
            changed[key] = inner
            return .object(changed)
          }
          // Plans of earlier versions have no widths.
          return (key == "bits" ? [] : [.object(missing)]) + [.object(renamed)] + inside
        }
      case .array(let items) where items.contains { $0.object != nil }:
        items.indices.flatMap { index in
          variants(items[index]).map { inner in
            var changed = items
            changed[index] = inner
            return .array(changed)
          }
        }
      default: []
      }
    }
    let all = variants(Self.plan.json)
    #expect(all.count > 60)
    for variant in all {
      #expect(throws: Failure.self, "\(variant.text())") { try PlanDocument(json: variant) }
    }
  }
}
