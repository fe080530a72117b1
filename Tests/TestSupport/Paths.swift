import Foundation
import Testing

/// Where tests find data: the repository's own fixtures, and the real checkpoints beside it where they are present.
public enum TestPath {
  /// The repository's root, found from this file.
  public static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// A file of `Fixtures/`.
  public static func fixture(_ name: String) -> String {
    root.appendingPathComponent("Fixtures").appendingPathComponent(name).path
  }

  /// The folder of real checkpoints: `KCOMPRESS_DATA`, else `../shared/data` beside the repository.
  public static let sharedData: String =
    ProcessInfo.processInfo.environment["KCOMPRESS_DATA"]
    ?? root.deletingLastPathComponent().appendingPathComponent("shared/data").path

  /// A real checkpoint, or nil where it is absent. A test that needs one has the trait `.needsShared`.
  public static func shared(_ name: String) -> String? {
    let path = sharedData + "/" + name
    return FileManager.default.fileExists(atPath: path) ? path : nil
  }
}

extension Trait where Self == ConditionTrait {
  /// Disables a test where one of these files of `TestPath.sharedData` is absent. The runner then prints the test as skipped, with
  /// the names of the absent files.
  public static func needsShared(_ names: String...) -> Self { needsShared(names) }

  /// The same for a list, which may also be the test's arguments.
  public static func needsShared(_ names: [String]) -> Self {
    let absent = names.filter { TestPath.shared($0) == nil }
    return .enabled(if: absent.isEmpty, "\(absent.joined(separator: ", ")) is not beside the project")
  }
}

/// A folder that lives as long as `body`.
public func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let folder = FileManager.default.temporaryDirectory
    .appendingPathComponent("kcompress-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder.path)
}
