import Basics
import Checkpoints
import Foundation
import Running

extension Record {
  /// The record of these replacements. Without a plan only its size matters: the promises are placeholders of the same width.
  ///
  /// - Parameters:
  ///   - architecture: the original's, where it came in a file of its own.
  ///   - canRun: whether the network runs on random inputs, so that it is measured.
  ///   - hasSamples: whether there are samples of what the network will see, on which it is measured too.
  /// - Throws: `Failure` where a layer cannot be replaced.
  package init(
    replacing replacements: [Replacement], in checkpoint: Checkpoint, architecture: String?, canRun: Bool,
    hasSamples: Bool, plan: PlanDocument? = nil
  ) throws {
    let parts = try checkpoint.partNames(replacing: replacements)
    let planned = plan.map { plan in Dictionary(uniqueKeysWithValues: plan.layers.map { ($0.name, $0.discrepancy) }) }
    let dense = Dictionary(uniqueKeysWithValues: checkpoint.layers.map { ($0.name, $0.convolution) })
    let layers = zip(replacements, parts).map { replacement, parts in
      LayerRecord(
        name: replacement.layer,
        convolution: dense[replacement.layer].required("what is replaced is a layer of the checkpoint"),
        structure: replacement.structure, stages: replacement.stages,
        storage: replacement.storage, parts: parts,
        promised: planned.map { $0[replacement.layer].required("a plan states every layer") } ?? 0)
    }
    let seed = plan?.options.seed ?? 0
    self.init(
      originalPath: plan?.checkpoint ?? checkpoint.path, originalSHA256: checkpoint.sha256,
      originalArchitecture: architecture,
      originalStateDict: checkpoint.content.stateDict ?? StateDictOptions(), layers: layers,
      network: canRun
        ? NetworkRecord(samples: Samples.usualRandomCount, seed: seed, relativeDiscrepancy: 0) : nil,
      sampleDiscrepancy: hasSamples ? 0 : nil)
  }
}
