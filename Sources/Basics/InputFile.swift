import Foundation

/// Reading whole files with errors that name them.
package enum InputFile {
  /// The bytes of a file.
  ///
  /// - Throws: `Failure` when the path is no readable regular file.
  package static func read(_ path: String) throws -> [UInt8] {
    try check(path)
    do {
      return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    } catch {
      throw Failure(path, "cannot be read", (error as NSError).localizedDescription)
    }
  }

  /// Refuses what could not be read.
  ///
  /// - Throws: `Failure` when the path does not lead to a readable regular file.
  package static func check(_ path: String) throws {
    guard let kind = FileKind(path) else {
      throw Failure(path, "cannot be read", "no such file", remedy: "check the path")
    }
    guard kind == .file else {
      throw Failure(path, "cannot be read", "it is \(kind.noun)", remedy: "give the path of a file")
    }
    guard FileManager.default.isReadableFile(atPath: path) else {
      throw Failure(path, "cannot be read", "permission denied")
    }
  }
}
