import Basics
import Checkpoints
import Formats
import Foundation
import TensorCore

extension Checkpoint {
  /// Writes the checkpoint with trained weights; what apply promised becomes what the trained layers and network were measured at.
  ///
  /// - Throws: `Failure` where it cannot be written.
  func write(
    _ weights: TrainedWeights, _ record: Record?, _ original: Checkpoint?, _ source: CheckpointSource, to path: String,
    overwrite: Bool, workers: Workers, progress: Progress
  ) throws {
    let trained = try substituting(offsets: weights.changed)
    var record = record
    if record != nil {
      // What is measured is what the file holds, in its types.
      let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("kcompress-\(ProcessInfo.processInfo.globallyUniqueString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let draft = folder.appendingPathComponent((path as NSString).lastPathComponent).path
      try trained.write(replacing: [], record: record?.json, to: draft, overwrite: false)
      let written = try CheckpointSource(path: draft, companions: source.companions).open()
      try record?.remeasure(written, original, workers: workers, progress: progress)
    }
    try trained.write(replacing: [], record: record?.json, to: path, overwrite: overwrite)
  }
}

extension Record {
  /// Promises what a checkpoint keeps now.
  fileprivate mutating func remeasure(
    _ checkpoint: Checkpoint, _ original: Checkpoint?, workers: Workers, progress: Progress
  ) throws {
    let checks = try checkLayers(
      in: checkpoint, original: original, seed: network?.seed ?? 0, workers: workers, progress: progress)
    promise(Dictionary(checks.compactMap { check in check.discrepancy.map { (check.name, $0) } }) { first, _ in first })
    guard let original, let known = network else { return }
    let samples = try Samples(seed: known.seed, count: known.samples, for: try checkpoint.trainableGraph)
    let comparison = try compare(
      Network(checkpoint, workers: workers), Network(original, workers: workers), samples, progress: progress)
    network?.relativeDiscrepancy = comparison.relativeDiscrepancy
  }
}
