import Basics
import ModelGraph
import TensorCore

extension Checkpoint {
  /// Writes the checkpoint with some layers in factored form, in its own format. Tensors that no replacement is about
  /// keep their bytes; the same arguments give the same file.
  ///
  /// - Parameters:
  ///   - replacements: with their weights.
  ///   - record: what the file remembers about the compression; it becomes the `record` of the checkpoint.
  ///     Nil for a file that is as good as an original.
  ///   - path: of the file; of a sharded set, of its index.
  /// - Throws: `Failure` when a layer may not be replaced, or the file exists or cannot be written.
  package func write(
    replacing replacements: [Replacement], record: JSON?, to path: String, overwrite: Bool
  ) throws {
    try content.write(replacing: replacements, record: record, to: path, overwrite: overwrite, source: self.path)
  }

  /// The exact bytes that `write` with these replacements and this record puts into the file, or into the index and all shards.
  /// Replacements need no weights.
  ///
  /// - Parameter path: where the file will be; only the index of a sharded set depends on it. Nil means `CheckpointPath.compressed`.
  /// - Throws: `Failure` when a layer may not be replaced.
  /// - Complexity: O(tensors), without touching their bytes; plus the record's text.
  package func byteCount(
    replacing replacements: [Replacement], record: JSON, at path: String? = nil
  ) throws -> Int {
    let target = path ?? content.format.path(self.path).compressed
    return try Failure.within(self.path) {
      try content.byteCount(replacing: replacements, record: record, at: target)
    }
  }

  /// The same size, found by writing the file to memory where another library writes it: what a plan promises.
  ///
  /// - Throws: `Failure` when a layer may not be replaced.
  /// - Complexity: O(bytes).
  package func provenByteCount(replacing replacements: [Replacement], record: JSON) throws -> Int {
    let target = content.format.path(path).compressed
    return try Failure.within(path) {
      try content.provenByteCount(replacing: replacements, record: record, at: target)
    }
  }

  /// The path of the file that takes the architecture when the checkpoint is written to `path`; nil where the file itself
  /// holds it.
  package func architecturePath(besides path: String) -> String? { content.architecturePath(besides: path) }

  /// Why the format cannot express these stages in place of the layer; nil where it can.
  package func refusal(of stages: [Stage], for layer: Layer) -> String? { content.refusal(of: stages, for: layer) }

  /// How the format stores weights of a width, where it can.
  package func storage(_ width: BitWidth) -> WeightStorage { content.storage(width) }

  /// Why the format cannot store a layer's weights so; nil where it can.
  package func refusal(of storage: WeightStorage, for layer: Layer) -> String? {
    content.refusal(of: storage, for: layer)
  }

  /// The names of the layers that will hold the weights of each replacement in the compressed checkpoint: one for each
  /// convolution among its stages.
  ///
  /// - Throws: `Failure` where a layer cannot be replaced.
  package func partNames(replacing replacements: [Replacement]) throws -> [[String]] {
    try content.partNames(replacing: replacements)
  }

  /// Integers that a replacement needs and that the file holds once for all replacements that need them.
  ///
  /// - Throws: `Failure` where the layer cannot be replaced.
  package func sharedVectors(of replacement: Replacement) throws -> [IntegerVector] {
    try content.sharedVectors(of: replacement)
  }

  /// The bytes that such integers take in the file, each time that it holds them.
  ///
  /// - Precondition: The vector is one of `sharedVectors`.
  /// - Throws: `Failure` where the layer cannot be replaced.
  package func byteCount(of vector: IntegerVector) throws -> Int { try content.byteCount(of: vector) }

  /// How far the sum of the layers' growths, with what they share counted once, can be from the file's real growth, in bytes.
  package var sizeSlack: Int { content.sizeSlack }
}
