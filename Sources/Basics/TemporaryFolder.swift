import Foundation
import Glibc

/// Folders for files that nobody else is to see and that live for a moment.
package enum TemporaryFolder {
  /// Runs `body` with the path of a new folder that only the user can enter (mode 0700), and removes the folder afterwards with
  /// all that is in it.
  ///
  /// - Parameter parent: where the folder is; nil for the place that the system has for such folders.
  /// - Throws: `Failure` where the folder cannot be made, and what `body` throws.
  package static func with<Result>(
    in parent: String? = nil, _ body: (_ path: String) throws -> Result
  ) throws -> Result {
    let path = try make(in: parent)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
  }

  private static func make(in folder: String?) throws -> String {
    let parent = folder ?? FileManager.default.temporaryDirectory.path
    var template = Array("\(parent)/\(folder == nil ? "" : ".")kcompress-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else {
      throw Failure(
        parent, "cannot take a temporary folder", unsafe String(cString: strerror(errno)),
        remedy: "free some space, or \(folder == nil ? "set TMPDIR to" : "choose") a folder that can be written")
    }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
