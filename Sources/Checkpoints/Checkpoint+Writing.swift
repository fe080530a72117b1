import Basics

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
  public func write(
    replacing replacements: [Replacement], record: JSON?, to path: String, overwrite: Bool
  ) throws {
    switch content {
    case .safetensors(let set):
      let result = try located { try set.replacing(replacements, record: record) }
      try result.write(to: path, overwrite: overwrite)
    case .onnx(let graph):
      let bytes = try located { try ONNXEditor(graph).fileBytes(replacing: replacements, record: record) }
      try OutputFile.write(bytes, to: path, overwrite: overwrite)
    case .keras(let file):
      try writeKeras(
        file, replacing: replacements, record: record, to: path, overwrite: overwrite)
    }
  }

  /// The exact bytes that `write` with these replacements and this record puts into the file, or into the index and all shards.
  /// Replacements need no weights.
  ///
  /// - Parameter path: where the file will be; only the index of a sharded set depends on it. Nil means `CheckpointPath.compressed`.
  /// - Throws: `Failure` when a layer may not be replaced.
  /// - Complexity: O(tensors), without touching their bytes; plus the record's text.
  public func byteCount(
    replacing replacements: [Replacement], record: JSON, at path: String? = nil
  ) throws -> Int {
    switch content {
    case .safetensors(let set):
      let nameLength =
        set.isSharded
        ? SafetensorsLayout.quotedLength(
          try SafetensorsSet.shardNames(indexPath: path ?? CheckpointPath(self.path).compressed, count: 1)[0]) : 0
      return try located {
        try set.sizes.byteCount(replacements, record: record, shardNameLength: nameLength)
      }
    case .onnx(let graph):
      return try located { try ONNXEditor(graph).byteCount(replacing: replacements, record: record) }
    case .keras(let file):
      return try kerasByteCount(file, replacing: replacements, record: record)
    }
  }

  /// Adds the path to a failure about a layer.
  private func located<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }
}
