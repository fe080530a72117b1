import Foundation
import Glibc

/// A folder that a command puts files into, made where it is missing.
package enum OutputFolder {
  /// Runs `body` with the folder in place. Where `body` fails, the folders that were made for it go away again.
  ///
  /// - Parameter option: chooses another path.
  /// - Throws: `Failure` where something else than a folder lies at the path, or the folder cannot be made; what `body` throws.
  package static func with<Result>(_ path: String, option: String, _ body: () throws -> Result) throws -> Result {
    if let kind = FileKind(path), kind != .folder {
      throw Failure(path, "cannot be written", "it is \(kind.noun)", remedy: "give the path of a folder with \(option)")
    }
    // From the inside out.
    var missing: [String] = []
    var folder = URL(fileURLWithPath: path).standardizedFileURL.path
    while FileKind(folder) == nil, folder != "/" {
      missing.append(folder)
      folder = folder.folderPath
    }
    var made: [String] = []
    do {
      for folder in missing.reversed() {
        guard unsafe mkdir(folder, 0o777) == 0 else {
          throw Failure(
            path, "cannot be made", unsafe String(cString: strerror(errno)),
            remedy: "choose another folder with \(option)")
        }
        made.append(folder)
      }
      return try body()
    } catch {
      // A folder that somebody else has put something into stays.
      for folder in made.reversed() { _ = unsafe rmdir(folder) }
      throw error
    }
  }
}
