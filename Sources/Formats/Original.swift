import Basics
import Checkpoints
import Foundation

/// The original checkpoint, where it is at hand.
package struct Original {
  /// The checkpoint; nil where it is not at hand.
  package var checkpoint: Checkpoint?
  /// The file name of what apply recorded, where it is not at hand.
  package var missing: String?

  /// How the original is read: as apply read it, unless the user says otherwise.
  private static func reading(_ given: StateDictOptions, _ recorded: StateDictOptions?) -> StateDictOptions {
    StateDictOptions(
      prefix: given.prefix ?? recorded?.prefix, linear: given.linear + (recorded?.linear ?? []),
      modules: given.modules ?? recorded?.modules)
  }

  /// What the user should know about it.
  package var notices: [String] {
    missing.map {
      ["the original '\($0)' is not at hand, so kernels are not compared with it (give it with --original)"]
    } ?? []
  }

  /// Looks for the original and opens it.
  ///
  /// - Parameters:
  ///   - compressed: the path of the checkpoint whose original it is.
  ///   - given: its path, where the user says it.
  /// - Throws: `Failure` where the given file cannot be read or is not the one that apply recorded.
  package init(of compressed: String, _ record: Record?, given: String?, _ companions: Companions) throws {
    let folder = compressed.folderPath as NSString
    /// Where a recorded file may be: at its own path, or beside the compressed checkpoint.
    func places(of recorded: String) -> [String] {
      [recorded, folder.appendingPathComponent((recorded as NSString).lastPathComponent)].filter {
        FileManager.default.fileExists(atPath: $0)
      }
    }
    let own = Companions(
      graph: companions.graph,
      architecture: record?.originalArchitecture.map { places(of: $0).first ?? $0 },
      stateDict: Self.reading(companions.stateDict, record?.originalStateDict).located { places(of: $0).first ?? $0 })
    if let path = given {
      let opened = try CheckpointSource(path: path, companions: own).open()
      if let record, opened.sha256 != record.originalSHA256 {
        throw Failure(
          path, "is not the original of '\(compressed)'",
          "its SHA-256 is \(opened.sha256.prefix(12))..., apply recorded \(record.originalSHA256.prefix(12))...",
          remedy: "give the checkpoint that the plan was made for")
      }
      checkpoint = opened
      return
    }
    guard let record else { return }
    for place in places(of: record.originalPath) {
      let opened = try CheckpointSource(path: place, companions: own).open()
      if opened.sha256 == record.originalSHA256 {
        checkpoint = opened
        return
      }
    }
    missing = (record.originalPath as NSString).lastPathComponent
  }
}
