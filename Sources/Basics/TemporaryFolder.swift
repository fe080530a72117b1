import Foundation
import Glibc

/// Folders for files that nobody else is to see and that live for a moment.
package enum TemporaryFolder {
  /// Runs `body` with the path of a new folder that only the user can enter (mode 0700), and removes the folder afterwards with
  /// all that is in it.
  ///
  /// - Throws: `Failure` where the folder cannot be made, and what `body` throws.
  package static func with<Result>(_ body: (_ path: String) throws -> Result) throws -> Result {
    let path = try make()
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
  }

  private static func make() throws -> String {
    let parent = FileManager.default.temporaryDirectory.path
    var template = Array("\(parent)/kcompress-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else {
      throw Failure(
        parent, "cannot take a temporary folder", unsafe String(cString: strerror(errno)),
        remedy: "free some space, or set TMPDIR to a folder that can be written")
    }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
