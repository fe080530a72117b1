import Foundation

/// Reading whole files with errors that name them.
package enum InputFile {
  /// - Throws: `Failure` when the path is no readable regular file.
  package static func read(_ path: String) throws -> [UInt8] {
    try check(path)
    do {
      return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    } catch {
      throw Failure(path, "cannot be read", (error as NSError).localizedDescription)
    }
  }

  /// - Throws: `Failure` when the path does not lead to a readable regular file.
  package static func check(_ path: String) throws {
    guard let kind = FileKind(path) else {
      throw Failure(path, "cannot be read", "no such file", remedy: "check the path")
    }
    if kind == .folder {
      throw Failure(path, "cannot be read", "it is a folder", remedy: "give the path of a file")
    }
    guard FileManager.default.isReadableFile(atPath: path) else {
      throw Failure(path, "cannot be read", "permission denied")
    }
  }
}

/// What a path leads to, links followed.
enum FileKind {
  case folder, file

  /// nil where nothing exists.
  init?(_ path: String) {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let resolved = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    let type = try? FileManager.default.attributesOfItem(atPath: resolved)[.type] as? FileAttributeType
    self = type == .typeDirectory ? .folder : .file
  }
}
