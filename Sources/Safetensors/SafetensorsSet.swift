import Basics
import Checkpoints
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
  /// The tensors in the order of the files; those that are stored as integers with scales, as the numbers that these stand for.
  let tensors: [StoredTensor]
  /// The stored tensors that each of these numbers comes from.
  let computedFrom: [String: [StoredTensor]]
  /// The grids of these.
  let grids: [String: IntegerGrid]
  /// What can be told about layers from names and shapes alone.
  let layers: [Layer]
  /// Sizes of compressed forms, prepared once because a plan asks for very many.
  let sizes: SafetensorsSizes
  /// What apply recorded, nil in an uncompressed checkpoint.
  let record: JSON?

  /// Makes a set of its files.
  ///
  /// - Precondition: tensor names are unique in the set; there is one shard unless the set is sharded.
  /// - Throws: `Failure` when the metadata has a record that is no JSON, for the caller to add the path.
  init(shards: [Shard], isSharded: Bool) throws {
    precondition(isSharded || shards.count == 1, "a set without an index has one file")
    self.shards = shards
    self.isSharded = isSharded
    record = try Self.record(in: shards)
    (tensors, computedFrom, grids) = try Self.numbers(of: shards.flatMap(\.tensors), record)
    layers = SafetensorsLayers.layers(of: tensors)
    sizes = SafetensorsSizes(shards: shards, isSharded: isSharded, layers: layers)
  }

  /// The metadata key of what apply recorded. It stands in the first shard.
  static let recordKey = "kcompress"

  private static func record(in shards: [Shard]) throws -> JSON? {
    guard let text = shards.lazy.compactMap({ $0.metadata[recordKey] }).first else { return nil }
    return try Failure.within("metadata '\(recordKey)'") { try JSON(parsing: text.utf8) }
  }
}
