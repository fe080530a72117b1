import Basics
import Checkpoints
import ModelGraph
import TensorCore

/// Runs two networks on the same samples and compares their first outputs, or all outputs joined where there are several.
func compare(
  _ network: Network, _ reference: Network, _ samples: Samples, progress: Progress
) throws -> OutputComparison {
  let outputs = try network.run(samples.inputs, progress: progress, task: "run")
  let expected = try reference.run(samples.inputs, progress: progress, task: "run original")
  let comparisons = network.graph.outputs.indices.map { index in
    OutputComparison(name: network.graph.outputs[index].name, outputs[index], reference: expected[index])
  }
  return comparisons.max { $0.relativeDiscrepancy < $1.relativeDiscrepancy || $1.relativeDiscrepancy.isNaN }
    ?? comparisons[0]
}

extension Verification {
  /// What an uncompressed network may differ from its reference by: other kernels sum in another order.
  private static let engineTolerance = 1e-4
  /// The threshold where nothing was promised.
  private static let defaultTolerance = 0.1

  /// Every compressed layer keeps its promise, or a bound that was asked for, and computes what its composed kernel computes.
  mutating func judgeLayers(_ record: Record, _ checkpoint: Checkpoint, maximumDiscrepancy: Double?) {
    for check in layers {
      let dtype = checkpoint.layers.first { layer in
        record.layers.first { $0.name == check.name }?.parts.first == layer.name
      }?.dtype
      let tolerance = LayerCheck.tolerance(dtype ?? .f32)
      if let discrepancy = check.discrepancy, !(discrepancy <= check.promised + tolerance) {
        failures.append(
          "layer '\(check.name)': its discrepancy is \(discrepancy), promised were \(check.promised)")
      }
      if let maximumDiscrepancy, !((check.discrepancy ?? .nan) <= maximumDiscrepancy) {
        failures.append(
          "layer '\(check.name)': its discrepancy is \(check.discrepancy.map { "\($0)" } ?? "unknown, for want of the original"), at most \(maximumDiscrepancy) is allowed"
        )
      }
      if !(check.execution <= 1e-4) {
        failures.append(
          "layer '\(check.name)': run stage by stage it differs from its kernel by \(check.execution), allowed are 0.0001"
        )
      }
    }
  }

  /// Runs the network and judges its outputs.
  mutating func runNetwork(
    _ checkpoint: Checkpoint, _ record: Record?, _ original: Checkpoint?, _ request: VerifyRequest,
    workers: Workers, progress: Progress
  ) throws {
    let network = try Network(checkpoint, workers: workers)
    let samples =
      try request.reference.map { try Samples(file: $0, for: network.graph, request.preparation) }
      ?? Samples(
        seed: request.seed ?? record?.network?.seed ?? 0,
        count: request.preparation.maximumCount ?? randomSampleCount, for: network.graph)
    self.samples = samples.count
    source = samples.source
    if request.reference == nil { notices.append("no reference was given: \(samples.source) were used") }

    let results = try network.run(samples.inputs, progress: progress, task: "run")
    for (output, result) in zip(network.graph.outputs, results) where !result.isFinite {
      failures.append("output '\(output.name)': it holds NaN or infinite values")
    }
    let before = try originalOutputs(original, samples, workers: workers, progress: progress)
    guard let expected = samples.outputs ?? before else {
      try judgeAgainstData(results, samples, before: nil, request)
      if accuracy == nil, psnr == nil {
        failures.append(
          "\(request.checkpoint): there is nothing to compare with: neither reference outputs nor the original are at hand"
        )
      }
      return
    }
    for (index, output) in network.graph.outputs.enumerated() {
      guard results[index].shape == expected[index].shape else {
        throw Failure(
          request.reference ?? request.checkpoint, "output '\(output.name)' cannot be compared",
          "the reference has the shape \(expected[index].shape), the network gives \(results[index].shape)")
      }
      outputs.append(OutputComparison(name: output.name, results[index], reference: expected[index]))
    }
    try judgeAgainstData(results, samples, before: before ?? samples.outputs, request)
    judgeOutputs(request, record)
  }

  private func originalOutputs(
    _ original: Checkpoint?, _ samples: Samples, workers: Workers, progress: Progress
  ) throws -> [Tensor<Float>]? {
    guard let original, samples.outputs == nil else { return nil }
    return try Network(original, workers: workers)
      .run(samples.inputs, progress: progress, task: "run original")
  }

  /// Accuracy and PSNR, of this network and of what it is compared with.
  private mutating func judgeAgainstData(
    _ results: [Tensor<Float>], _ samples: Samples, before: [Tensor<Float>]?, _ request: VerifyRequest
  ) throws {
    if let labels = samples.labels {
      if let classes = results.first?.classCount, let wrong = labels.first(where: { $0 >= classes }) {
        throw Failure(
          samples.source, "array 'labels' holds \(wrong)", "the network has \(classes) classes",
          remedy: "expected class indices from 0 to \(classes - 1)")
      }
      accuracy = results.first?.accuracy(labels: labels)
      originalAccuracy = before?.first?.accuracy(labels: labels)
    }
    if let targets = samples.targets, let result = results.first, result.count == targets.count {
      let peak = (targets.elements.max() ?? 1) > 2 ? 255.0 : 1.0
      psnr = result.reshaped(targets.shape).psnr(targets: targets, peak: peak)
      originalPSNR = before?.first.map { $0.reshaped(targets.shape).psnr(targets: targets, peak: peak) }
    }
    if let minimum = request.minimumAccuracy {
      guard let accuracy, accuracy >= minimum else {
        failures.append(
          "accuracy: it is \(accuracy.map { "\($0)" } ?? "unknown, for want of labels"), at least \(minimum) is asked for"
        )
        return
      }
    }
  }

  mutating func judgeOutputs(_ request: VerifyRequest, _ record: Record?) {
    if let minimum = request.minimumAgreement, outputs.allSatisfy({ $0.topOneAgreement == nil }) {
      failures.append("top-1 agreement: no output has classes, and at least \(minimum) is asked for")
    }
    let hasThreshold =
      request.maximumDiscrepancy != nil || request.minimumAgreement != nil || request.minimumAccuracy != nil
    let threshold: Double? =
      request.maximumDiscrepancy
      ?? (hasThreshold
        ? nil
        : record == nil
          ? Self.engineTolerance : record?.network.map(\.promise) ?? Self.defaultTolerance)
    let isPromise = request.maximumDiscrepancy == nil && record?.network != nil
    let origin =
      isPromise ? " (half as much again as apply measured on random inputs; --max-discrepancy sets another limit)" : ""
    for output in outputs {
      if let threshold, !(output.relativeDiscrepancy <= threshold) {
        failures.append(
          "output '\(output.name)': its relative discrepancy is \(Format.number(output.relativeDiscrepancy)), at most \(Format.number(threshold)) is allowed\(origin)"
        )
      }
      if let minimum = request.minimumAgreement, let agreement = output.topOneAgreement, !(agreement >= minimum) {
        failures.append(
          "output '\(output.name)': its top-1 agreement is \(Format.number(agreement)), at least \(minimum) is asked for"
        )
      }
    }
  }
}
