import Basics
import Checkpoints
import Networks
import Running

/// What the user allows; nil leaves it to what apply promised.
package struct Thresholds: Sendable, Equatable {
  /// The largest relative discrepancy of an output; of a layer's kernel where there is no graph.
  package var maximumDiscrepancy: Double?
  /// The smallest top-1 agreement, 0 to 1.
  package var minimumAgreement: Double?
  /// The smallest accuracy, 0 to 1.
  package var minimumAccuracy: Double?

  package init(
    maximumDiscrepancy: Double? = nil, minimumAgreement: Double? = nil, minimumAccuracy: Double? = nil
  ) {
    self.maximumDiscrepancy = maximumDiscrepancy
    self.minimumAgreement = minimumAgreement
    self.minimumAccuracy = minimumAccuracy
  }

  /// Whether nothing is asked for.
  var areNone: Bool { self == Thresholds() }
}

/// Holds what was measured against what was allowed or promised. A NaN never holds.
struct Judgement {
  private let thresholds: Thresholds
  private let record: Record?
  private(set) var failures: [String] = []
  private var hasJudged = false

  /// What an uncompressed network may differ from its reference by: other kernels sum in another order.
  private static let engineTolerance = 1e-4
  /// The threshold where nothing was promised.
  private static let defaultTolerance = 0.1
  /// What a layer that runs stage by stage may differ from its composed kernel by.
  private static let executionTolerance = 1e-4

  init(_ thresholds: Thresholds, _ record: Record?) {
    self.thresholds = thresholds
    self.record = record
  }

  var verdict: Verdict { failures.isEmpty ? hasJudged ? .passed : .measured : .failed }

  /// Every compressed layer keeps its promise, or a bound that was asked for, and computes what its composed kernel computes.
  ///
  /// - Parameter isAlone: whether the network was not run, so that a bound on outputs is one on the layers.
  mutating func judge(_ layers: [LayerCheck], of checkpoint: Checkpoint, isAlone: Bool) {
    let dtypes = Dictionary(checkpoint.layers.map { ($0.name, $0.dtype) }) { first, _ in first }
    let parts = Dictionary((record?.layers ?? []).map { ($0.name, $0.parts) }) { first, _ in first }
    for check in layers {
      hasJudged = true
      let dtype = parts[check.name]?.first.flatMap { dtypes[$0] } ?? .f32
      if let discrepancy = check.discrepancy, !(discrepancy <= check.promised + LayerCheck.tolerance(dtype)) {
        failures.append("layer '\(check.name)': its discrepancy is \(discrepancy), promised were \(check.promised)")
      }
      if isAlone, let maximum = thresholds.maximumDiscrepancy, !((check.discrepancy ?? .nan) <= maximum) {
        let found = check.discrepancy.map { "\($0)" } ?? "unknown, for want of the original"
        failures.append("layer '\(check.name)': its discrepancy is \(found), at most \(maximum) is allowed")
      }
      if !(check.execution <= Self.executionTolerance) {
        failures.append(
          "layer '\(check.name)': run stage by stage it differs from its kernel by \(check.execution), allowed are 0.0001"
        )
      }
    }
  }

  /// Outputs, agreement and accuracy are as was asked for or promised.
  mutating func judge(_ examination: Examination) {
    failures += examination.failures
    if let minimum = thresholds.minimumAccuracy {
      hasJudged = true
      if !((examination.accuracy ?? .nan) >= minimum) {
        let found = examination.accuracy.map { "\($0)" } ?? "unknown, for want of labels"
        failures.append("accuracy: it is \(found), at least \(minimum) is asked for")
      }
    }
    judge(examination.outputs)
  }

  private mutating func judge(_ outputs: [OutputComparison]) {
    if outputs.isEmpty, !hasJudged, let maximum = thresholds.maximumDiscrepancy {
      failures.append(
        "relative discrepancy: it is unknown, for want of outputs to compare with, at most \(maximum) is allowed")
    }
    if let minimum = thresholds.minimumAgreement, outputs.allSatisfy({ $0.topOneAgreement == nil }) {
      failures.append("top-1 agreement: no output has classes, and at least \(minimum) is asked for")
    }
    let allowed = allowedDiscrepancy
    for output in outputs {
      if let allowed {
        hasJudged = true
        if !(output.relativeDiscrepancy <= allowed) {
          failures.append(
            "output '\(output.name)': its relative discrepancy is \(Format.number(output.relativeDiscrepancy)), at most \(Format.number(allowed)) is allowed\(origin)"
          )
        }
      }
      if let minimum = thresholds.minimumAgreement, let agreement = output.topOneAgreement {
        hasJudged = true
        if !(agreement >= minimum) {
          failures.append(
            "output '\(output.name)': its top-1 agreement is \(Format.number(agreement)), at least \(minimum) is asked for"
          )
        }
      }
    }
  }

  /// What an output may differ by; nil where the user asks for something else.
  private var allowedDiscrepancy: Double? {
    if let maximum = thresholds.maximumDiscrepancy { return maximum }
    guard thresholds.areNone else { return nil }
    guard let record else { return Self.engineTolerance }
    return record.network?.promise ?? Self.defaultTolerance
  }

  /// Where a promise comes from.
  private var origin: String {
    thresholds.maximumDiscrepancy == nil && record?.network != nil
      ? " (half as much again as apply measured on random inputs; --max-discrepancy sets another limit)" : ""
  }
}
