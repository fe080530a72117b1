import Foundation

/// Writing so that a crash or a full disk loses nothing: beside the target under a temporary name, then renamed.
public enum OutputFile {
  /// Runs `write` on a temporary path in the target's folder, makes the result durable and renames it to `path`.
  /// Whatever fails, the temporary file is removed and an existing target is untouched.
  ///
  /// - Throws: `Failure` when the target exists and may not be replaced, or when it cannot be written.
  public static func replace<Result>(
    _ path: String, overwrite: Bool, _ write: (_ temporaryPath: String) throws -> Result
  ) throws -> Result {
    try check(path, overwrite: overwrite)
    let temporary = "\(path).\(ProcessInfo.processInfo.processIdentifier).partial"
    defer { try? FileManager.default.removeItem(atPath: temporary) }
    let result = try write(temporary)
    guard unsafe rename(temporary, path) == 0 else { throw cannotWrite(path) }
    return result
  }

  /// Writes whole contents.
  public static func write(_ bytes: some Sequence<UInt8>, to path: String, overwrite: Bool) throws {
    try replace(path, overwrite: overwrite) { temporary in
      try create(temporary, describedAs: path, Data(bytes))
    }
  }

  /// Creates one file of known contents and makes it durable.
  public static func create(_ path: String, describedAs target: String, _ data: Data) throws {
    guard FileManager.default.createFile(atPath: path, contents: nil),
      let handle = FileHandle(forWritingAtPath: path)
    else { throw cannotWrite(target) }
    do {
      try handle.write(contentsOf: data)
      try handle.synchronize()
      try handle.close()
    } catch {
      throw cannotWrite(target)
    }
  }

  /// Refuses early what could only fail later: a target that exists, a folder that is missing or closed to us.
  public static func check(_ path: String, overwrite: Bool) throws {
    if let kind = FileKind(path) {
      if kind == .folder {
        throw Failure(path, "cannot be written", "it is a folder", remedy: "give the path of a file")
      }
      if !overwrite {
        throw Failure(
          path, "is not overwritten", "it exists already",
          remedy: "choose another path with -o, or pass --overwrite")
      }
    }
    let folder = (path as NSString).deletingLastPathComponent
    let parent = folder.isEmpty ? "." : folder
    guard FileKind(parent) == .folder else {
      throw Failure(
        path, "cannot be written", "the folder '\(parent)' does not exist",
        remedy: "create the folder, or choose another path with -o")
    }
    guard FileManager.default.isWritableFile(atPath: parent) else {
      throw Failure(
        path, "cannot be written", "the folder '\(parent)' is not writable",
        remedy: "choose another path with -o")
    }
  }

  private static func cannotWrite(_ path: String) -> Failure {
    Failure(
      path, "cannot be written", unsafe String(cString: strerror(errno)),
      remedy: "free some space or choose another path with -o")
  }
}
