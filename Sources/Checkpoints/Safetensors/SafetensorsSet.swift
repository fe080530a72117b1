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
}
