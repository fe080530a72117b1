import Basics
import Calibration
import Checkpoints
import ModelGraph
import Plans
import Running
import TensorCore

/// A network that is a graph of operations and runs on samples. A checkpoint without a graph is one that cannot be run.
package struct GraphNetwork: NetworkKind {
  private let checkpoint: Checkpoint

  package init?(_ checkpoint: Checkpoint) { self.checkpoint = checkpoint }

  package var runsOnRandomInputs: Bool { checkpoint.isRunnable }

  package var comparesOnData: Bool { checkpoint.graph.map { $0.unsupportedNode == nil } ?? false }

  package func calibrator(_ source: CalibrationSource, workers: Workers) throws -> any Calibrator {
    guard let graph = checkpoint.graph else {
      throw Failure(
        checkpoint.path, "cannot be calibrated", checkpoint.graphAbsence ?? "it has no graph",
        remedy: "give an ONNX export with --graph, or leave --calibration out")
    }
    return try GraphCalibration(
      checkpoint, graph, try Samples(file: source.path, for: graph, source.calibrating), workers: workers)
  }

  package func compared(
    with original: Checkpoint, on inputs: ComparisonInputs, workers: Workers, progress: ProgressHandler
  ) throws -> NetworkComparison {
    let before = try Network(partOf: original, workers: workers)
    let after = try Network(partOf: checkpoint, workers: workers)
    let samples =
      switch inputs {
      case .random(let seed, let count): try Samples(seed: seed, count: count, for: before.graph)
      case .data(let source): try judging(source, of: before.graph)
      }
    let meter = OutputMeter(after.graph, samples, source: checkpoint.path)
    let total = try meter.total(
      after.measured(samples, beside: before, progress: progress, task: "run", meter.measure))
    return NetworkComparison(
      outputs: meter.comparisons(total), samples: samples.count, source: after.source(of: samples))
  }

  /// The samples of a calibration that judge its fits.
  private func judging(_ source: CalibrationSource, of graph: ModelGraph) throws -> Samples {
    let samples = try Samples(file: source.path, for: graph, source.calibrating)
    return samples.last(GraphCalibration.judgeCount(of: samples.count))
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
      if let record = request.record, !record.layers.isEmpty {
        result.notices.append("there is no graph, so every layer was checked by itself")
      }
      return result
    }
    if request.record != nil, !checkpoint.isRunnable, request.networkOptions.isEmpty {
      result.notices.append(
        "the network was not run, \(graph.unsupportedNode ?? "the shape of its input is open and no samples were given"): every layer was checked by itself"
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
    // What a reference holds are outputs of the whole network.
    let isPart = request.reference == nil || checkpoint.graph?.runnablePart?.stop == nil
    let network = try isPart ? Network(partOf: checkpoint, workers: workers) : Network(checkpoint, workers: workers)
    let samples =
      try request.reference.map { try Samples(file: $0, for: network.graph, request.preparation) }
      ?? Samples(
        seed: request.seed, count: request.preparation.maximumCount ?? Samples.usualRandomCount, for: network.graph)
    result.samples = samples.count
    result.source = network.source(of: samples)
    if request.reference == nil { result.notices.append("no reference was given: \(samples.source) were used") }

    let meter = OutputMeter(network.graph, samples, source: request.reference ?? checkpoint.path)
    let before = try samples.outputs == nil ? original.map { try Network(partOf: $0, workers: workers) } : nil
    // Outputs that a file holds are there as a whole.
    let parts =
      try samples.outputs.map {
        [try meter.measure(0..<samples.count, network.run(samples, progress: progress, task: "run"), $0)]
      } ?? network.measured(samples, beside: before, progress: progress, task: "run", meter.measure)
    let total = try meter.total(parts)
    for (output, isFinite) in zip(network.graph.outputs, total.areFinite) where !isFinite {
      result.failures.append("output '\(output.name)': it holds NaN or infinite values")
    }
    result.outputs = try zip(network.graph.outputs, meter.comparisons(total)).map {
      try network.noting($1, of: $0, on: samples, dtype: checkpoint.content.computedType)
    }
    (result.accuracy, result.originalAccuracy) = (total.accuracy(total.own), total.accuracy(total.reference))
    (result.psnr, result.originalPSNR) = (total.psnr(total.own), total.psnr(total.reference))
    if total.reference == nil, result.accuracy == nil, result.psnr == nil {
      result.failures.append(
        "\(checkpoint.path): there is nothing to compare with: neither reference outputs nor the original are at hand")
    }
  }
}

extension Network {
  /// What the network ran on and, where it did not run as a whole, how far.
  fileprivate func source(of samples: Samples) -> String {
    samples.source + (stop.map { ", run up to \($0)" } ?? "")
  }
}

extension CalibrationSource {
  /// More samples help less and less, and take time and memory in proportion.
  private static let usualCount = 2000

  /// How its samples are prepared where nobody says how many.
  fileprivate var calibrating: SamplePreparation {
    var result = preparation
    result.maximumCount = result.maximumCount ?? Self.usualCount
    return result
  }
}
