import Foundation

/// The names of what lies beside a checkpoint.
public struct CheckpointPath: Sendable {
  /// The path without its extension.
  private let stem: String
  /// The extension with its dot: `.h5`; of several parts where a format wants them.
  private let suffix: String

  private static let longSuffixes = [SafetensorsSet.indexSuffix, ".weights.h5"]

  public init(_ path: String) {
    let pathExtension = (path as NSString).pathExtension
    suffix =
      Self.longSuffixes.first { path.hasSuffix($0) } ?? (pathExtension.isEmpty ? "" : ".\(pathExtension)")
    stem = String(path.dropLast(suffix.count))
  }

  /// `model.plan.json`
  public var plan: String { stem + ".plan.json" }
  /// `model.compressed.h5`
  public var compressed: String { stem + ".compressed" + suffix }
  /// `model.dense.h5`
  public var dense: String { stem + ".dense" + suffix }
  /// `model.tuned.h5`
  public var tuned: String { stem + ".tuned" + suffix }
  /// `model.frozen.h5`
  public var frozen: String { stem + ".frozen" + suffix }
  /// `model.merged.h5`
  public var merged: String { stem + ".merged" + suffix }
  /// `model.factors.safetensors`
  public var factors: String { stem + ".factors.safetensors" }
  /// `model.report.html`
  public var report: String { stem + ".report.html" }
  /// `model.json`: the architecture of weights that come without one.
  public var architecture: String { stem + ".json" }
}
