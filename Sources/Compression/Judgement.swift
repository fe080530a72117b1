import Basics
import Checkpoints
import Networks
import Running
import TensorCore

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
  /// Whether the outputs were compared on samples that somebody gave, and not on random inputs.
  private let hasSamples: Bool
  /// What two right programs may differ by on the network.
  private let engineTolerance: Double
  private(set) var failures: [String] = []
  private(set) var notices: [String] = []
  private var hasJudged = false

  /// What an uncompressed network of single precision may differ from its reference by: other kernels sum in another order.
  private static let singleTolerance = 1e-4
  /// The same where activations are rounded to steps: a few of them fall on the other side of a rounding, by one of the 2^8 steps of an integer
  /// of 8 bits.
  private static let steppedTolerance = 1.0 / 256
  /// The threshold where nothing was promised.
  private static let defaultTolerance = 0.1
  /// What a layer that runs stage by stage may differ from its composed kernel by.
  private static let executionTolerance = 1e-4

  init(_ thresholds: Thresholds, _ record: Record?, of checkpoint: Checkpoint, hasSamples: Bool) {
    self.thresholds = thresholds
    self.record = record
    self.hasSamples = hasSamples
    engineTolerance = Self.engineTolerance(of: checkpoint)
  }

  /// What the framework's results may differ from the engine's by. Each of d operations in a row rounds to the network's type, by at most its
  /// unit roundoff u; independent errors add up to u sqrt(d), and twice that is allowed. The engine computes in single precision.
  private static func engineTolerance(of checkpoint: Checkpoint) -> Double {
    let least = checkpoint.graph?.roundsToSteps ?? false ? steppedTolerance : singleTolerance
    let unit = checkpoint.content.computedType.unitRoundoff
    guard unit > DType.f32.unitRoundoff else { return least }
    return max(least, 2 * unit * Double(max(1, checkpoint.graph?.depth ?? 1)).squareRoot())
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

  /// A file without a network to run, of which no layer was compressed, holds what its original does.
  mutating func judge(_ checkpoint: Checkpoint, unchangedFrom original: Checkpoint?) {
    guard let original else {
      notices.append("no layer was compressed, and the original is not at hand to compare with")
      return
    }
    hasJudged = true
    let changed = checkpoint.tensors.filter { tensor in
      original.tensor(named: tensor.name).map { !tensor.holds($0) } ?? true
    }
    let count = checkpoint.tensors.count
    if let first = changed.first {
      failures.append(
        "\(checkpoint.path): no layer was compressed, and \(changed.count) of \(count) tensors are not the original's, '\(first.name)' first"
      )
    } else {
      notices.append("no layer was compressed, and all \(count) tensors are the original's")
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
        if output.relativeDiscrepancy > allowed, let rounding = output.rounding,
          output.maximumAbsoluteDifference <= rounding
        {
          notices.append(
            "output '\(output.name)': its numbers are tiny, \(Format.number(output.largestReference)) at most, and differ by \(Format.number(output.maximumAbsoluteDifference)) at most: that is within the rounding of what they are computed from, \(Format.number(rounding)), so their relative discrepancy is not judged"
          )
        } else if !(output.relativeDiscrepancy <= allowed) {
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
    guard let record else { return engineTolerance }
    guard let measured = measured(record) else { return Self.defaultTolerance }
    // What was promised was measured by the engine on both networks.
    return Record.promise(measured) + engineTolerance - Self.singleTolerance
  }

  /// What apply measured on inputs of the kind that the outputs were compared on.
  private func measured(_ record: Record) -> Double? {
    let onSamples = hasSamples ? record.sampleDiscrepancy : nil
    return onSamples ?? record.network?.relativeDiscrepancy
  }

  /// Where a promise comes from.
  private var origin: String {
    guard thresholds.maximumDiscrepancy == nil, let record, measured(record) != nil else { return "" }
    let inputs = hasSamples && record.sampleDiscrepancy != nil ? "its samples" : "random inputs"
    return " (half as much again as apply measured on \(inputs); --max-discrepancy sets another limit)"
  }
}

extension StoredTensor {
  /// Whether the tensor is another one, in its own type.
  fileprivate func holds(_ other: StoredTensor) -> Bool {
    guard shape == other.shape else { return false }
    guard dtype != other.dtype else { return bytes == other.bytes }
    guard let values = try? other.decoded(as: Double.self) else { return false }
    return StoredTensor(name: name, values, as: dtype).bytes == bytes
  }
}
