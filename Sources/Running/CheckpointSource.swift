import Checkpoints
import Foundation
import TensorCore

/// The files that make a network of a checkpoint that does not hold all of it.
package struct Companions: Sendable, Equatable {
  /// An ONNX export of the original network, for a checkpoint without a graph.
  package var graph: String?
  /// The architecture of Keras weights, what `model.to_json()` returns.
  package var architecture: String?

  package init(graph: String? = nil, architecture: String? = nil) {
    self.graph = graph
    self.architecture = architecture
  }

  /// For `OutputSet`.
  package var inputs: [(path: String, role: String)] {
    [(graph, "the graph"), (architecture, "the original's architecture")].compactMap { path, role in
      path.map { ($0, role) }
    }
  }
}

/// A checkpoint's path, with those of its companions and the type that its numbers are stored in.
package struct CheckpointSource: Sendable {
  package let path: String
  package var companions = Companions()
  /// Nil leaves every tensor in its own.
  package var dtype: DType?

  /// - Throws: `Failure` where one of the files cannot be read, or they do not belong together.
  package init(path: String, companions: Companions = Companions(), dtype: DType? = nil) {
    self.path = path
    self.companions = companions
    self.dtype = dtype
  }

  func open() throws -> Checkpoint {
    var checkpoint = try openWithArchitecture()
    if let dtype { checkpoint = try checkpoint.converted(to: dtype) }
    guard let graph = companions.graph else { return checkpoint }
    let record = try checkpoint.compressionRecord()
    return try checkpoint.withGraph(
      graph,
      factored: (record?.layers ?? []).map { FactoredLayer(name: $0.name, stages: $0.stages, parts: $0.parts) })
  }

  /// Weights that say nothing about their network take the architecture that lies beside them under their own name, as apply puts
  /// it there.
  private func openWithArchitecture() throws -> Checkpoint {
    let beside = CheckpointPath(path).architecture
    let isBeside = FileManager.default.fileExists(atPath: beside)
    if companions.architecture != nil || (path.hasSuffix(".weights.h5") && isBeside) {
      return try Checkpoint.open(path, architecture: companions.architecture ?? beside)
    }
    let checkpoint = try Checkpoint.open(path)
    guard checkpoint.format == .kerasHDF5, checkpoint.graph == nil, checkpoint.record != nil, isBeside else {
      return checkpoint
    }
    return try Checkpoint.open(path, architecture: beside)
  }
}
