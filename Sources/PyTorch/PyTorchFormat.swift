import Basics
import Checkpoints
import Foundation
import Hashing
import Safetensors
import TensorCore

/// Files of `torch.save`, read without running anything of them: `.pt`, `.pth`, `.bin` and `.ckpt`, and sharded sets of `.bin` files.
/// What is written is safetensors.
package enum PyTorchFormat: CheckpointFormat {
  package static let noun = "a PyTorch file"
  package static let expected = ["a PyTorch .pt, .pth, .bin or .ckpt file"]
  package static let longSuffixes = [".bin.index.json"]
  package static let writtenSuffixes = [
    ".pt": safetensors, ".pth": safetensors, ".bin": safetensors, ".ckpt": safetensors, ".pkl": safetensors,
    ".tar": safetensors, ".bin.index.json": SafetensorsSet.indexSuffix,
  ]
  package static let isStateDict = true

  private static let safetensors = ".safetensors"
  private static let shardSuffixes = [".bin", ".pt", ".pth", ".ckpt"]

  package static func recognizes(_ file: CheckpointFile) -> Bool {
    TorchFile.isOne(file.bytes) || SafetensorsSet.isIndex(file, of: shardSuffixes)
  }

  package static func claims(_ path: String) -> Bool {
    [".pt", ".pth", ".ckpt"].contains { path.hasSuffix($0) }
  }

  package static func takesArchitecture(_ file: CheckpointFile) -> Bool { false }

  package static func open(_ file: CheckpointFile, architecture: String?, stateDict: StateDictOptions) throws
    -> Checkpoint
  {
    guard SafetensorsSet.isIndex(file, of: shardSuffixes) else { return try openSingle(file, stateDict) }
    return try SafetensorsSet.opening(index: file, Self.self, name: "pytorch", options: stateDict) { name, bytes in
      try shard(fileName: name, bytes, prefix: nil).shard
    }
  }

  private static func openSingle(_ file: CheckpointFile, _ options: StateDictOptions) throws -> Checkpoint {
    let (set, notices) = try Failure.within(file.path) {
      let (shard, prefix, notices) = try shard(fileName: file.path, file.bytes, prefix: options.prefix)
      var own = options
      own.prefix = prefix
      let (set, more) = try SafetensorsSet.reading(
        [shard], isSharded: false, of: file.path, Self.self, name: "pytorch", options: own)
      return (set.recalling(options), notices + more)
    }
    return Checkpoint(
      path: file.path, sha256: SHA256.hexadecimal(of: file.bytes), byteCount: file.bytes.count, notices: notices,
      content: set)
  }

  /// The network of a file. Tensors that are one and the same are there once, under the first of their names; the metadata say which other names
  /// they have, as the reference library's `save_model` does.
  private static func shard(
    fileName: String, _ bytes: [UInt8], prefix: String?
  ) throws -> (shard: SafetensorsSet.Shard, prefix: String?, notices: [String]) {
    let file = try TorchFile(bytes)
    let (named, rest, notices) = try TorchStateDicts(file).network(prefix: prefix)
    var firsts: [TorchView: String] = [:]
    var metadata = ["format": "pt"]
    var views: [(name: String, view: TorchView)] = []
    for (name, view) in named {
      let place = view.canonical(file.heap)
      if let first = firsts[place], view.byteCount ?? 0 > 0 {
        metadata[name] = first
      } else {
        firsts[place] = name
        views.append((name, view))
      }
    }
    let shard = SafetensorsSet.Shard(fileName: fileName, metadata: metadata, tensors: try file.tensors(views))
    return (shard, rest, notices)
  }
}
