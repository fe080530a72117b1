import Basics
import ModelGraph
import TensorCore

/// One safetensors file, or a sharded set with its index.
struct SafetensorsSet: Sendable {
  struct Shard: Sendable {
    /// The file's name inside the set's folder.
    let fileName: String
    /// `__metadata__`, sorted by key when written.
    let metadata: [String: String]
    let tensors: [StoredTensor]
  }

  let shards: [Shard]
  /// Whether there is an index; a set without one has a single shard.
  let isSharded: Bool
  /// What can be told about layers from names and shapes alone.
  let layers: [Layer]
  /// Sizes of compressed forms, prepared once because a plan asks for very many.
  let sizes: SafetensorsSizes

  /// - Precondition: tensor names are unique in the set; there is one shard unless the set is sharded.
  init(shards: [Shard], isSharded: Bool) {
    precondition(isSharded || shards.count == 1, "a set without an index has one file")
    self.shards = shards
    self.isSharded = isSharded
    layers = SafetensorsLayers.layers(of: shards.flatMap(\.tensors))
    sizes = SafetensorsSizes(shards: shards, isSharded: isSharded, layers: layers)
  }

  /// The metadata key of what apply recorded. It stands in the first shard.
  static let recordKey = "kcompress"

  /// What apply recorded, nil in an uncompressed checkpoint.
  ///
  /// - Throws: `Failure` when the metadata has a record that is no JSON.
  func record() throws -> JSON? {
    guard let text = shards.lazy.compactMap({ $0.metadata[Self.recordKey] }).first else {
      return nil
    }
    do {
      return try JSON(parsing: text.utf8)
    } catch let failure as Failure {
      throw failure.within("metadata '\(Self.recordKey)'")
    }
  }
}
