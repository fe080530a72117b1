import Foundation

/// The names of what lies beside a checkpoint.
package struct CheckpointPath: Sendable {
  /// The path without its extension.
  private let stem: String
  /// The extension of what is written, with its dot: `.h5`; of several parts where a format wants them.
  private let suffix: String

  /// Takes a checkpoint's path apart.
  ///
  /// - Parameters:
  ///   - longSuffixes: The extensions of several parts that formats have (`CheckpointFormat.longSuffixes`).
  ///   - writtenSuffixes: See `CheckpointFormat.writtenSuffixes`.
  package init(_ path: String, longSuffixes: [String], writtenSuffixes: [String: String] = [:]) {
    let pathExtension = (path as NSString).pathExtension
    let own =
      longSuffixes.filter { path.hasSuffix($0) }.max { $0.count < $1.count }
      ?? (pathExtension.isEmpty ? "" : ".\(pathExtension)")
    suffix = writtenSuffixes[own] ?? own
    stem = String(path.dropLast(own.count))
  }

  /// The plan beside the checkpoint: `model.plan.json`.
  package var plan: String { stem + ".plan.json" }
  /// The compressed checkpoint beside the checkpoint: `model.compressed.h5`.
  package var compressed: String { stem + ".compressed" + suffix }
  /// The checkpoint with composed kernels beside the checkpoint: `model.dense.h5`.
  package var dense: String { stem + ".dense" + suffix }
  /// The fine-tuned checkpoint beside the checkpoint: `model.tuned.h5`.
  package var tuned: String { stem + ".tuned" + suffix }
  /// The checkpoint with the frozen parts beside the checkpoint: `model.frozen.h5`.
  package var frozen: String { stem + ".frozen" + suffix }
  /// The checkpoint with merged factors beside the checkpoint: `model.merged.h5`.
  package var merged: String { stem + ".merged" + suffix }
  /// The factors beside the checkpoint: `model.factors.safetensors`.
  package var factors: String { stem + ".factors.safetensors" }
  /// The HTML report beside the checkpoint: `model.report.html`.
  package var report: String { stem + ".report.html" }
  /// `model.modules.json`: the classes of a state dict's modules.
  package var modules: String { stem + ".modules.json" }
  /// `model.json`: the architecture of weights that come without one.
  package var architecture: String { stem + ".json" }
}
