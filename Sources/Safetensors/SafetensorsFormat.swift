import Basics
import Checkpoints
import Hashing
import TensorCore

/// Safetensors files, and sharded sets of them with an index.
///
/// The format follows from the content; only a set is known by the name of its index, `*.safetensors.index.json`.
package enum SafetensorsFormat: CheckpointFormat {
  package static let noun = "a safetensors file"
  package static let expected = ["a .safetensors file", "a \(SafetensorsSet.indexSuffix)"]
  package static let longSuffixes = [SafetensorsSet.indexSuffix]

  package static func recognizes(_ file: CheckpointFile) -> Bool {
    isIndex(file) || SafetensorsFile.isOne(file.bytes)
  }

  package static func claims(_ path: String) -> Bool { path.hasSuffix(".safetensors") }

  package static func takesArchitecture(_ file: CheckpointFile) -> Bool { false }

  package static func open(_ file: CheckpointFile, architecture: String?) throws -> Checkpoint {
    isIndex(file) ? try openSharded(file) : try openSingle(file)
  }

  private static func isIndex(_ file: CheckpointFile) -> Bool { file.path.hasSuffix(".index.json") }

  private static func openSingle(_ file: CheckpointFile) throws -> Checkpoint {
    let set = try SafetensorsSet(path: file.path, parsing: file.bytes)
    return Checkpoint(
      path: file.path, sha256: SHA256.hexadecimal(of: file.bytes), byteCount: file.bytes.count, notices: [],
      content: set)
  }

  private static func openSharded(_ file: CheckpointFile) throws -> Checkpoint {
    var hash = SHA256()
    hash.update(file.bytes)
    var byteCount = file.bytes.count
    let sharded = try SafetensorsSet.read(indexPath: file.path, parsing: file.bytes) { shard in
      hash.update(shard)
      byteCount += shard.count
    }
    return Checkpoint(
      path: file.path, sha256: hash.hexadecimal(), byteCount: byteCount, notices: sharded.notices, content: sharded.set)
  }
}
