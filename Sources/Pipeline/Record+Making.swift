import Basics
import Checkpoints
import Foundation
import ModelGraph

extension Record {
  /// The record of these replacements. Without a plan only its size matters: the promises are placeholders of the same width.
  ///
  /// - Parameter architecture: the original's, where it came in a file of its own.
  init(
    replacing replacements: [Replacement], in checkpoint: Checkpoint, architecture: String?, plan: PlanDocument? = nil
  ) throws {
    let parts = try checkpoint.partNames(replacing: replacements)
    let planned = Dictionary(
      uniqueKeysWithValues: (plan?.layers ?? []).map { ($0.name, $0) })
    let dense = Dictionary(uniqueKeysWithValues: checkpoint.layers.map { ($0.name, $0.convolution) })
    let layers = replacements.indices.compactMap { index -> LayerRecord? in
      let replacement = replacements[index]
      guard let convolution = dense[replacement.layer] else { return nil }
      return LayerRecord(
        name: replacement.layer, convolution: convolution, structure: replacement.structure,
        stages: replacement.stages, parts: parts[index],
        promised: planned[replacement.layer]?.discrepancy ?? 0)
    }
    let isMeasured = checkpoint.isRunnable || checkpoint.isRecurrent
    self.init(
      originalPath: plan?.checkpoint ?? checkpoint.path, originalSHA256: checkpoint.sha256,
      originalArchitecture: architecture, layers: layers,
      network: isMeasured
        ? NetworkRecord(samples: randomSampleCount, seed: plan?.options.seed ?? 0, relativeDiscrepancy: 0) : nil)
  }

  /// Checks every compressed layer.
  func checkLayers(
    in compressed: Checkpoint, original: Checkpoint?, seed: UInt64, workers: Workers,
    progress: Progress
  ) throws -> [LayerCheck] {
    let counter = Counter()
    return try workers.map(layers) { layer in
      let check = try layer.check(in: compressed, original: original, seed: seed)
      progress("check", counter.next(), of: layers.count, layer.name)
      return check
    }
  }
}

extension Checkpoint {
  /// Whether the network can be run on random inputs: a graph without unsupported layers whose input shapes are known.
  var isRunnable: Bool {
    guard let graph, graph.unsupportedNode == nil else { return false }
    return graph.inputs.allSatisfy { $0.shape.dropFirst().allSatisfy { $0 != nil } }
  }
}
