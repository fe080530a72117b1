import Basics
import Calibration
import Checkpoints
import Plans
import Running
import TensorCore

/// A network that is a graph of operations and runs on samples. A checkpoint without a graph is one that cannot be run.
package struct GraphNetwork: NetworkKind {
  private let checkpoint: Checkpoint

  /// More calibration samples help less and less, and take time and memory in proportion.
  private static let usualCalibrationCount = 2000

  package init?(_ checkpoint: Checkpoint) { self.checkpoint = checkpoint }

  package var runsOnRandomInputs: Bool { checkpoint.isRunnable }

  package func calibrator(_ source: CalibrationSource, workers: Workers) throws -> any Calibrator {
    guard let graph = checkpoint.graph else {
      throw Failure(
        checkpoint.path, "cannot be calibrated", checkpoint.graphAbsence ?? "it has no graph",
        remedy: "give an ONNX export with --graph, or leave --calibration out")
    }
    var preparation = source.preparation
    preparation.maximumCount = preparation.maximumCount ?? Self.usualCalibrationCount
    return try GraphCalibration(
      checkpoint, graph, try Samples(file: source.path, for: graph, preparation), workers: workers)
  }

  package func compared(
    with original: Checkpoint, seed: UInt64, samples count: Int, workers: Workers, progress: ProgressHandler
  ) throws -> NetworkComparison {
    let before = try Network(original, workers: workers)
    let after = try Network(checkpoint, workers: workers)
    let samples = try Samples(seed: seed, count: count, for: before.graph)
    let outputs = try after.run(samples.inputs, progress: progress, task: "run")
    let expected = try before.run(samples.inputs, progress: progress, task: "run original")
    return NetworkComparison(
      outputs: after.graph.outputs.indices.map { index in
        OutputComparison(name: after.graph.outputs[index].name, outputs[index], reference: expected[index])
      }, samples: samples.count, source: samples.source)
  }

  package func examined(
    _ request: ExaminationRequest, original: Checkpoint?, workers: Workers, progress: ProgressHandler
  ) throws -> Examination {
    if request.text != nil {
      throw Failure(
        checkpoint.path, "has no bits per character", "it holds no character model", remedy: "leave --text out")
    }
    var result = Examination()
    guard let graph = checkpoint.graph else {
      if let option = request.networkOptions.first {
        throw Failure(
          checkpoint.path, "cannot be compared by its outputs",
          "\(option) needs the network, and \(checkpoint.graphAbsence ?? "there is no graph")",
          remedy: "give an ONNX export with --graph, or leave the option out: the layers are checked one by one")
      }
      if request.record == nil {
        result.failures.append(
          "\(checkpoint.path): nothing can be verified: the file has neither a graph nor compressed layers")
      }
      result.notices.append("there is no graph, so every layer was checked by itself")
      return result
    }
    if request.record != nil, !checkpoint.isRunnable, request.networkOptions.isEmpty {
      result.notices.append(
        "the network was not run, \(graph.unsupportedNode ?? "the shape of its input is open"): every layer was checked by itself"
      )
      return result
    }
    try run(request, original, into: &result, workers: workers, progress: progress)
    return result
  }

  private func run(
    _ request: ExaminationRequest, _ original: Checkpoint?, into result: inout Examination, workers: Workers,
    progress: ProgressHandler
  ) throws {
    let network = try Network(checkpoint, workers: workers)
    let samples =
      try request.reference.map { try Samples(file: $0, for: network.graph, request.preparation) }
      ?? Samples(
        seed: request.seed, count: request.preparation.maximumCount ?? Samples.usualRandomCount, for: network.graph)
    result.samples = samples.count
    result.source = samples.source
    if request.reference == nil { result.notices.append("no reference was given: \(samples.source) were used") }

    let outputs = try network.run(samples.inputs, progress: progress, task: "run")
    for (output, values) in zip(network.graph.outputs, outputs) where !values.isFinite {
      result.failures.append("output '\(output.name)': it holds NaN or infinite values")
    }
    let before =
      try samples.outputs
      ?? original.map {
        try Network($0, workers: workers).run(samples.inputs, progress: progress, task: "run original")
      }
    if let before {
      for (index, output) in network.graph.outputs.enumerated() {
        guard outputs[index].shape == before[index].shape else {
          throw Failure(
            request.reference ?? checkpoint.path, "output '\(output.name)' cannot be compared",
            "the reference has the shape \(before[index].shape), the network gives \(outputs[index].shape)")
        }
        result.outputs.append(OutputComparison(name: output.name, outputs[index], reference: before[index]))
      }
    }
    try measure(outputs, samples, before: before, into: &result)
    if before == nil, result.accuracy == nil, result.psnr == nil {
      result.failures.append(
        "\(checkpoint.path): there is nothing to compare with: neither reference outputs nor the original are at hand")
    }
  }

  /// Accuracy and PSNR of the first output, of this network and of what it is compared with.
  private func measure(
    _ outputs: [Tensor<Float>], _ samples: Samples, before: [Tensor<Float>]?, into result: inout Examination
  ) throws {
    guard let output = outputs.first else { return }
    if let labels = samples.labels {
      if let classes = output.kind.classCount, let wrong = labels.first(where: { $0 >= classes }) {
        throw Failure(
          samples.source, "array 'labels' holds \(wrong)", "the network has \(classes) classes",
          remedy: "expected class indices from 0 to \(classes - 1)")
      }
      result.accuracy = output.accuracy(labels: labels)
      result.originalAccuracy = before?.first?.accuracy(labels: labels)
    }
    if let targets = samples.targets, output.count == targets.count {
      let peak = (targets.elements.max() ?? 1) > 2 ? 255.0 : 1.0
      result.psnr = output.reshaped(targets.shape).psnr(targets: targets, peak: peak)
      result.originalPSNR = before?.first.map { $0.reshaped(targets.shape).psnr(targets: targets, peak: peak) }
    }
  }
}
