import Checkpoints
import TensorCore

/// A checkpoint's path, with those of its companions and the type that its numbers are stored in.
package struct CheckpointSource: Sendable {
  /// The path of the checkpoint.
  package let path: String
  /// The files that make a network of it.
  package var companions: Companions
  /// The type that floating-point tensors are converted to; nil leaves every tensor in its own.
  package var dtype: DType?

  /// Names what is to be opened.
  package init(path: String, companions: Companions = Companions(), dtype: DType? = nil) {
    self.path = path
    self.companions = companions
    self.dtype = dtype
  }

  /// Reads the checkpoint, converts its tensors and joins the graph.
  ///
  /// - Throws: `Failure` where one of the files cannot be read, or they do not belong together.
  package func open() throws -> Checkpoint {
    var checkpoint = try Checkpoint.open(
      path, architecture: companions.architecture, stateDict: companions.stateDict)
    if let dtype { checkpoint = try checkpoint.converted(to: dtype) }
    return try companions.graph.map { try checkpoint.withGraph($0) } ?? checkpoint
  }
}
