import Foundation

/// The names of what lies beside a checkpoint.
package struct CheckpointPath: Sendable {
  /// The path without its extension.
  private let stem: String
  /// The extension with its dot: `.h5`; of several parts where a format wants them.
  private let suffix: String

  /// Takes a checkpoint's path apart.
  ///
  /// - Parameter longSuffixes: The extensions of several parts that formats have (`CheckpointFormat.longSuffixes`).
  package init(_ path: String, longSuffixes: [String]) {
    let pathExtension = (path as NSString).pathExtension
    suffix = longSuffixes.first { path.hasSuffix($0) } ?? (pathExtension.isEmpty ? "" : ".\(pathExtension)")
    stem = String(path.dropLast(suffix.count))
  }

  /// `model.plan.json`
  package var plan: String { stem + ".plan.json" }
  /// `model.compressed.h5`
  package var compressed: String { stem + ".compressed" + suffix }
  /// `model.dense.h5`
  package var dense: String { stem + ".dense" + suffix }
  /// `model.tuned.h5`
  package var tuned: String { stem + ".tuned" + suffix }
  /// `model.frozen.h5`
  package var frozen: String { stem + ".frozen" + suffix }
  /// `model.merged.h5`
  package var merged: String { stem + ".merged" + suffix }
  /// `model.factors.safetensors`
  package var factors: String { stem + ".factors.safetensors" }
  /// `model.report.html`
  package var report: String { stem + ".report.html" }
  /// `model.json`: the architecture of weights that come without one.
  package var architecture: String { stem + ".json" }
}
