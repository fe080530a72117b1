import Glibc

/// What a path leads to, links followed.
package enum FileKind: Sendable {
  /// A regular file.
  case file
  case folder
  /// A device, a named pipe or a socket: its bytes can be read once at most, and nothing may take its place.
  case special
  /// A link to something that does not exist.
  case brokenLink

  /// Looks at a path; nil where nothing is there.
  package init?(_ path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else {
      guard unsafe lstat(path, &status) == 0 else { return nil }
      self = .brokenLink
      return
    }
    self =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .folder
      default: .special
      }
  }

  /// What a message calls it.
  package var noun: String {
    switch self {
    case .file: "a file"
    case .folder: "a folder"
    case .special: "a device, a pipe or a socket"
    case .brokenLink: "a link to something that does not exist"
    }
  }
}
