import Basics
import Checkpoints

/// Where calibration samples come from and how they become inputs.
package struct CalibrationSource: Sendable, Equatable {
  package var path: String
  package var preparation: SamplePreparation

  /// More samples help less and less, and take time and memory in proportion.
  private static let usualCount = 2000

  package init(path: String, preparation: SamplePreparation = SamplePreparation()) {
    self.path = path
    self.preparation = preparation
  }

  /// What a file tells of a network: one is nil.
  typealias Reading = (samples: Calibration?, text: RecurrentCalibration?)

  /// Reads a text for a character model, samples for any other network.
  ///
  /// - Throws: `Failure` where the checkpoint has no graph or the file does not serve.
  func read(for checkpoint: Checkpoint, workers: Workers) throws -> Reading {
    let text = try recurrentCalibration(of: checkpoint, workers: workers)
    return (text == nil ? try calibration(of: checkpoint, workers: workers) : nil, text)
  }

  private func calibration(of checkpoint: Checkpoint, workers: Workers) throws -> Calibration {
    guard let graph = checkpoint.graph else {
      throw Failure(
        checkpoint.path, "cannot be calibrated", checkpoint.graphAbsence ?? "it has no graph",
        remedy: "give an ONNX export with --graph, or leave --calibration out")
    }
    var preparation = preparation
    preparation.maximumCount = preparation.maximumCount ?? Self.usualCount
    return try Calibration(checkpoint, graph, try Samples(file: path, for: graph, preparation), workers: workers)
  }

  /// As plans state it.
  var json: JSON {
    [
      "file": .string(path), "input_scale": .optional(preparation.scale, JSON.real),
      "input_mean": .array(preparation.mean.map(JSON.real)),
      "input_std": .array(preparation.standardDeviation.map(JSON.real)),
      "max_samples": .optional(preparation.maximumCount, JSON.integer),
    ]
  }

  /// Nil for what is none.
  init?(_ json: JSON) {
    guard let path = json["file"]?.string, let mean = json["input_mean"]?.array?.compactMap(\.real),
      let deviation = json["input_std"]?.array?.compactMap(\.real)
    else { return nil }
    self.init(
      path: path,
      preparation: SamplePreparation(
        scale: json["input_scale"]?.real, mean: mean, standardDeviation: deviation,
        maximumCount: json["max_samples"]?.integer))
  }
}
