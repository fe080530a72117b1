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
    guard isIndex(file) else { return try openSingle(file, stateDict) }
    return try SafetensorsSet.opening(index: file, Self.self, name: "safetensors", options: stateDict) {
      try SafetensorsSet.Shard(fileName: $0, parsing: $1)
    }
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
}
