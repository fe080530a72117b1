import Foundation

/// The names of what lies beside a checkpoint.
public struct CheckpointPath: Sendable {
  /// The path without its extension.
  private let stem: String
  /// The extension with its dot: `.h5`, or `.safetensors.index.json` for a sharded set.
  private let suffix: String

  public init(_ path: String) {
    let sharded = ".safetensors.index.json"
    if path.hasSuffix(sharded) {
      suffix = sharded
      stem = String(path.dropLast(sharded.count))
    } else {
      let pathExtension = (path as NSString).pathExtension
      suffix = pathExtension.isEmpty ? "" : ".\(pathExtension)"
      stem = String(path.dropLast(suffix.count))
    }
  }

  /// `model.plan.json`
  public var plan: String { stem + ".plan.json" }
  /// `model.compressed.h5`
  public var compressed: String { stem + ".compressed" + suffix }
  /// `model.dense.h5`
  public var dense: String { stem + ".dense" + suffix }
  /// `model.report.html`
  public var report: String { stem + ".report.html" }
}

/// The three forms of a report.
struct ReportPaths: Sendable {
  let html: String

  private var stem: String {
    html.hasSuffix(".html") ? String(html.dropLast(".html".count)) : html
  }

  var markdown: String { stem + ".md" }
  var json: String { stem + ".json" }
  var all: [String] { [html, markdown, json] }
}
