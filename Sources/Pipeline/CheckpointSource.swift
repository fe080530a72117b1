import Basics
import Checkpoints
import Foundation

/// A checkpoint's path, with that of the ONNX export that gives it a graph where it has none itself.
struct CheckpointSource: Sendable {
  let path: String
  var graph: String?

  /// - Throws: `Failure` where one of the files cannot be read, or the graph is not this checkpoint's.
  func open() throws -> Checkpoint {
    let checkpoint = try Checkpoint.open(path)
    guard let graph else { return checkpoint }
    let record = try checkpoint.record.map { json in
      do { return try Record(json) } catch let failure as Failure { throw failure.within(path) }
    }
    return try checkpoint.withGraph(
      graph,
      factored: (record?.layers ?? []).map { FactoredLayer(name: $0.name, stages: $0.stages, parts: $0.parts) })
  }
}
