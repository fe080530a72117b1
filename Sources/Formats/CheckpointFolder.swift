import Basics
import Checkpoints
import Foundation

/// A folder that is given as a checkpoint: the files of one network, as Hugging Face lays them out.
enum CheckpointFolder {
  /// The path of the checkpoint that a path leads to: the path itself, or that of the index or of the only checkpoint in a folder.
  ///
  /// - Throws: `Failure` for a folder that holds none, or several.
  static func checkpoint(at path: String) throws -> String {
    guard FileKind(path) == .folder else { return path }
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    func joined(_ name: String) -> String { (path as NSString).appendingPathComponent(name) }
    for kind in kinds {
      let found = names.filter { kind($0) && isCheckpoint(joined($0)) }
      if found.count == 1 { return joined(found[0]) }
      guard found.isEmpty else {
        throw Failure(
          path, "cannot be read", "it is a folder with several checkpoints, '\(found[0])' and '\(found[1])' say",
          remedy: "give one of them")
      }
    }
    throw Failure(path, "cannot be read", "it is a folder without a checkpoint", remedy: "give the path of a file")
  }

  /// What is looked for, one kind after the other: an index names other files, and PyTorch's files lie beside safetensors for older readers.
  private static let kinds: [@Sendable (String) -> Bool] = [
    { $0.hasSuffix(".safetensors.index.json") }, { $0.hasSuffix(".json") },
    { $0.hasSuffix(".safetensors") && !$0.contains(".compressed.") && !$0.contains(".dense.") },
    { name in [".bin", ".pt", ".pth", ".ckpt"].contains { name.hasSuffix($0) } },
  ]

  /// Whether a file of a fitting name is a checkpoint; of `.json` files only an index is.
  private static func isCheckpoint(_ path: String) -> Bool {
    guard path.hasSuffix(".json") else { return FileKind(path) == .file }
    guard let bytes = try? InputFile.read(path) else { return false }
    return CheckpointFormats.format(of: CheckpointFile(path: path, bytes: bytes)) != nil
  }
}
