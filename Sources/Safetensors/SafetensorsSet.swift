import Basics
import Checkpoints
import ModelGraph
import TensorCore

/// One safetensors file, or a sharded set with its index.
package struct SafetensorsSet: Sendable {
  /// One of the files.
  package struct Shard: Sendable {
    /// The file's name inside the set's folder.
    let fileName: String
    /// `__metadata__`, sorted by key when written.
    let metadata: [String: String]
    let tensors: [StoredTensor]

    /// A file of these tensors.
    package init(fileName: String, metadata: [String: String], tensors: [StoredTensor]) {
      self.fileName = fileName
      self.metadata = metadata
      self.tensors = tensors
    }
  }

  /// What the files are, and how they are read.
  package struct Source: Sendable {
    /// The format of the files that were read. What is written is safetensors.
    package let format: any CheckpointFormat.Type
    /// The format's name as users see it.
    package let name: String
    /// What the user says of the tensors.
    package let options: StateDictOptions
    /// The classes of the modules, where a file says them.
    package let modules: StateDictModules?

    /// Files of a format.
    package init(
      _ format: any CheckpointFormat.Type, name: String, options: StateDictOptions = StateDictOptions(),
      modules: StateDictModules? = nil
    ) {
      self.format = format
      self.name = name
      self.options = options
      self.modules = modules
    }

    /// Safetensors files of which nobody says anything.
    static let safetensors = Source(SafetensorsFormat.self, name: "safetensors")
  }

  private(set) var source: Source

  package let shards: [Shard]
  /// Whether there is an index; a set without one has a single shard.
  package let isSharded: Bool
  /// The tensors in the order of the files; those that are stored as integers with scales, as the numbers that these stand for.
  package let tensors: [StoredTensor]
  /// The stored tensors that each of these numbers comes from.
  package let computedFrom: [String: [StoredTensor]]
  /// The grids of these.
  package let grids: [String: IntegerGrid]
  /// What can be told about layers from names and shapes alone.
  package let layers: [Layer]
  /// Sizes of compressed forms, prepared once because a plan asks for very many.
  let sizes: SafetensorsSizes
  /// What apply recorded, nil in an uncompressed checkpoint.
  package let record: JSON?

  /// Makes a set of its files.
  ///
  /// - Precondition: tensor names are unique in the set; there is one shard unless the set is sharded.
  /// - Throws: `Failure` when the metadata has a record that is no JSON, for the caller to add the path.
  init(shards: [Shard], isSharded: Bool, source: Source = .safetensors) throws {
    precondition(isSharded || shards.count == 1, "a set without an index has one file")
    self.shards = shards
    self.isSharded = isSharded
    self.source = source
    record = try Self.record(in: shards)
    (tensors, computedFrom, grids) = try Self.numbers(of: shards.flatMap(\.tensors), record)
    layers = SafetensorsLayers.layers(
      of: tensors, linear: source.options.linear, modules: source.modules,
      ties: Self.ties(of: tensors, shards, source.modules))
    sizes = SafetensorsSizes(shards: shards, isSharded: isSharded, layers: layers)
  }

  /// The same with other layers, as a graph shows them to be.
  private init(_ set: SafetensorsSet, layers: [Layer]) {
    (shards, isSharded, source, record) = (set.shards, set.isSharded, set.source, set.record)
    (tensors, computedFrom, grids) = (set.tensors, set.computedFrom, set.grids)
    self.layers = layers
    sizes = SafetensorsSizes(shards: shards, isSharded: isSharded, layers: layers)
  }

  /// The same, read with options of which a part has been followed before.
  package func recalling(_ options: StateDictOptions) -> SafetensorsSet {
    var set = self
    set.source = Source(
      source.format, name: source.name,
      options: StateDictOptions(prefix: options.prefix, linear: options.linear, modules: source.options.modules),
      modules: source.modules)
    return set
  }

  package func with(layers: [Layer]) -> any CheckpointContent { SafetensorsSet(self, layers: layers) }

  /// For the names of tensors that are stored once and known by several, those under which they are stored: the metadata say so as the
  /// reference library's `save_model` has it.
  private static func ties(
    of tensors: [StoredTensor], _ shards: [Shard], _ modules: StateDictModules?
  ) -> [String: String] {
    let names = Set(tensors.map(\.name))
    var ties: [String: String] = [:]
    for (alias, name) in shards.flatMap(\.metadata) where names.contains(name) && !names.contains(alias) {
      ties[alias] = name
    }
    for tie in modules?.ties ?? [] {
      for name in tie where names.contains(name) {
        if let other = tie.first(where: { $0 != name }) { ties[other] = name }
      }
    }
    return ties
  }

  /// The metadata key of what apply recorded. It stands in the first shard.
  static let recordKey = "kcompress"

  private static func record(in shards: [Shard]) throws -> JSON? {
    guard let text = shards.lazy.compactMap({ $0.metadata[recordKey] }).first else { return nil }
    return try Failure.within("metadata '\(recordKey)'") { try JSON(parsing: text.utf8) }
  }
}
