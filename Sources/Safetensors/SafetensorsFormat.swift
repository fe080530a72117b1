import Basics
import Checkpoints
import Hashing
import TensorCore

/// Safetensors files, and sharded sets of them with an index.
///
/// The format follows from the content; an index is known by what it names.
package enum SafetensorsFormat: CheckpointFormat {
  package static let noun = "a safetensors file"
  package static let expected = ["a .safetensors file", "a \(SafetensorsSet.indexSuffix)"]
  package static let longSuffixes = [SafetensorsSet.indexSuffix, ".index.json"]
  /// A JSON file that is a checkpoint is an index.
  package static let writtenSuffixes = [
    ".index.json": SafetensorsSet.indexSuffix, ".json": SafetensorsSet.indexSuffix,
  ]
  package static let isStateDict = true

  package static func recognizes(_ file: CheckpointFile) -> Bool {
    isIndex(file) || SafetensorsFile.isOne(file.bytes)
  }

  package static func claims(_ path: String) -> Bool { path.hasSuffix(".safetensors") }

  package static func takesArchitecture(_ file: CheckpointFile) -> Bool { false }

  package static func open(_ file: CheckpointFile, architecture: String?, stateDict: StateDictOptions) throws
    -> Checkpoint
  {
    isIndex(file) ? try openSharded(file, stateDict) : try openSingle(file, stateDict)
  }

  private static func isIndex(_ file: CheckpointFile) -> Bool {
    file.path.hasSuffix(".index.json") || SafetensorsSet.isIndex(file, of: [""])
  }

  private static func openSingle(_ file: CheckpointFile, _ options: StateDictOptions) throws -> Checkpoint {
    let (set, notices) = try Failure.within(file.path) {
      let shard = try SafetensorsSet.Shard(fileName: file.path, parsing: file.bytes)
      return try SafetensorsSet.reading(
        [shard], isSharded: false, of: file.path, Self.self, name: "safetensors", options: options)
    }
    return Checkpoint(
      path: file.path, sha256: SHA256.hexadecimal(of: file.bytes), byteCount: file.bytes.count, notices: notices,
      content: set)
  }

  private static func openSharded(_ file: CheckpointFile, _ options: StateDictOptions) throws -> Checkpoint {
    var hash = SHA256()
    hash.update(file.bytes)
    var byteCount = file.bytes.count
    let sharded = try SafetensorsSet.read(indexPath: file.path, parsing: file.bytes) {
      try SafetensorsSet.Shard(fileName: $0, parsing: $1)
    } visit: { shard in
      hash.update(shard)
      byteCount += shard.count
    }
    let (set, notices) = try Failure.within(file.path) {
      try SafetensorsSet.reading(
        sharded.shards, isSharded: true, of: file.path, Self.self, name: "safetensors", options: options)
    }
    return Checkpoint(
      path: file.path, sha256: hash.hexadecimal(), byteCount: byteCount, notices: sharded.notices + notices,
      content: set)
  }
}
