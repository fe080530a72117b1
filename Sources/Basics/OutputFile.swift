import Foundation
import Glibc

/// Writing so that a crash or a full disk loses nothing: beside the target under a temporary name, then renamed.
package enum OutputFile {
  /// Runs `write` on a temporary path in the target's folder, makes the result durable and renames it to `path`.
  /// Whatever fails, the temporary file is removed and an existing target is untouched.
  ///
  /// - Parameter option: chooses another path, likewise below.
  /// - Throws: `Failure` when the target exists and may not be replaced, or when it cannot be written.
  package static func replace<Result>(
    _ path: String, overwrite: Bool, option: String = "-o", _ write: (_ temporaryPath: String) throws -> Result
  ) throws -> Result {
    try check(path, overwrite: overwrite, option: option)
    let temporary = temporaryPath(path)
    defer { try? FileManager.default.removeItem(atPath: temporary) }
    let result = try write(temporary)
    try move(temporary, to: path, of: .init(path, option: option))
    return result
  }

  /// Runs `write` on temporary paths for a set of files that belong together, then renames them in order: the one
  /// through which the others are found comes last. Whatever fails, nothing new is left behind and what was there is back.
  ///
  /// - Throws: `Failure` when a target exists and may not be replaced, or when one cannot be written.
  package static func replaceSet<Result>(
    _ targets: [OutputSet.Target], overwrite: Bool, _ write: (_ temporaryPaths: [String]) throws -> Result
  ) throws -> Result {
    for target in targets { try check(target.path, overwrite: overwrite, option: target.option) }
    let temporaries = targets.map { temporaryPath($0.path) }
    defer { for path in temporaries { try? FileManager.default.removeItem(atPath: path) } }
    let result = try write(temporaries)
    try rename(temporaries, to: targets)
    return result
  }

  /// The same for files whose place `-o` decides.
  ///
  /// - Throws: `Failure` when a target exists and may not be replaced, or when one cannot be written.
  package static func replaceSet<Result>(
    _ paths: [String], overwrite: Bool, _ write: (_ temporaryPaths: [String]) throws -> Result
  ) throws -> Result {
    try replaceSet(paths.map { .init($0, option: "-o") }, overwrite: overwrite, write)
  }

  /// All renames or none: a target that exists steps aside until the last one is done.
  private static func rename(_ temporaries: [String], to targets: [OutputSet.Target]) throws {
    let files = FileManager.default
    var undo: [(path: String, previous: String?)] = []
    do {
      for (temporary, target) in zip(temporaries, targets) {
        let path = target.path
        let previous = FileKind(path) == nil ? nil : temporaryPath(path) + ".previous"
        if let previous { try move(path, to: previous, of: target) }
        undo.append((path, previous))
        try move(temporary, to: path, of: target)
      }
    } catch {
      for (path, previous) in undo.reversed() {
        try? files.removeItem(atPath: path)
        if let previous { try? files.moveItem(atPath: previous, toPath: path) }
      }
      throw error
    }
    for case let (_, previous?) in undo { try? files.removeItem(atPath: previous) }
  }

  static func move(_ source: String, to path: String, of target: OutputSet.Target) throws {
    guard unsafe Glibc.rename(source, path) == 0 else { throw cannotWrite(target) }
  }

  private static func temporaryPath(_ path: String) -> String {
    "\(path).\(ProcessInfo.processInfo.processIdentifier).partial"
  }

  /// Writes whole contents.
  ///
  /// - Throws: `Failure` when the target exists and may not be replaced, or when it cannot be written.
  package static func write(
    _ bytes: some Sequence<UInt8>, to path: String, overwrite: Bool, option: String = "-o"
  ) throws {
    try replace(path, overwrite: overwrite, option: option) { temporary in
      try create(temporary, describedAs: path, Data(bytes), option: option)
    }
  }

  /// Writes contents that are made part by part, so that they need not be in memory at once.
  ///
  /// - Parameter write: gives the parts, in order, to the function that it is given.
  /// - Throws: `Failure` when the target exists and may not be replaced, or when it cannot be written; what `write` throws.
  package static func write(
    to path: String, overwrite: Bool, option: String = "-o",
    _ write: (_ append: ([UInt8]) throws -> Void) throws -> Void
  ) throws {
    try replace(path, overwrite: overwrite, option: option) { temporary in
      let target = OutputSet.Target(path, option: option)
      try create(temporary, describedAs: target) { descriptor in
        try write { part in
          guard unsafe part.withUnsafeBytes({ unsafe append($0, to: descriptor) }) else { throw cannotWrite(target) }
        }
      }
    }
  }

  /// Writes the whole contents of files that belong together, all or none.
  ///
  /// - Throws: `Failure` when a target exists and may not be replaced, or when one cannot be written.
  package static func writeSet(_ files: [(target: OutputSet.Target, bytes: [UInt8])], overwrite: Bool) throws {
    try replaceSet(files.map(\.target), overwrite: overwrite) { try create($0, of: files) }
  }

  /// Creates as many files as there are contents at the first of the paths.
  static func create(
    _ temporaries: [String], of files: [(target: OutputSet.Target, bytes: [UInt8])]
  ) throws {
    for (temporary, file) in zip(temporaries, files) {
      try create(temporary, describedAs: file.target.path, Data(file.bytes), option: file.target.option)
    }
  }

  /// Creates one file of known contents and makes it durable.
  ///
  /// - Throws: `Failure` when it cannot be written to the last byte.
  package static func create(
    _ path: String, describedAs target: String, _ data: Data, option: String = "-o"
  ) throws {
    let target = OutputSet.Target(target, option: option)
    try create(path, describedAs: target) { descriptor in
      guard unsafe data.withUnsafeBytes({ unsafe append($0, to: descriptor) }) else { throw cannotWrite(target) }
    }
  }

  private static func create(
    _ path: String, describedAs target: OutputSet.Target, _ write: (_ descriptor: CInt) throws -> Void
  ) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw cannotWrite(target) }
    do { try write(descriptor) } catch {
      _ = Glibc.close(descriptor)
      throw error
    }
    try finish(descriptor, describedAs: target)
  }

  /// Whether all bytes were written; where they were not, `errno` says why.
  private static func append(_ bytes: UnsafeRawBufferPointer, to descriptor: CInt) -> Bool {
    var written = 0
    while written < bytes.count {
      let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[written...])
      let count = unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      written += count
    }
    return true
  }

  /// Makes what another library wrote to a temporary path durable.
  ///
  /// - Throws: `Failure` when the disk does not take it.
  package static func makeDurable(_ path: String, describedAs target: String) throws {
    let target = OutputSet.Target(target, option: "-o")
    let descriptor = unsafe open(path, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { throw cannotWrite(target) }
    try finish(descriptor, describedAs: target)
  }

  /// Makes durable and closes; each of them can be what finds a disk full.
  private static func finish(_ descriptor: CInt, describedAs target: OutputSet.Target) throws {
    guard fsync(descriptor) == 0 else {
      let failure = cannotWrite(target)
      _ = Glibc.close(descriptor)
      throw failure
    }
    guard Glibc.close(descriptor) == 0 else { throw cannotWrite(target) }
  }

  /// Refuses early what could only fail later, or would destroy something: a target that exists, that is no regular file or that
  /// is not ours to write, and a folder that is missing or closed to us.
  ///
  /// - Parameter option: chooses another path.
  /// - Throws: `Failure` that says what stands in the way, and which option chooses another path.
  package static func check(_ path: String, overwrite: Bool, option: String = "-o") throws {
    if let kind = FileKind(path) {
      guard kind == .file else {
        throw Failure(
          path, "cannot be written", "it is \(kind.noun)", remedy: "give the path of a file with \(option)")
      }
      if !overwrite {
        throw Failure(
          path, "is not overwritten", "it exists already",
          remedy: "choose another path with \(option), or pass --overwrite")
      }
      // Renaming would replace even a file that we may not write.
      guard FileManager.default.isWritableFile(atPath: path) else {
        throw Failure(
          path, "is not overwritten", "we may not write to it", remedy: "choose another path with \(option)")
      }
    }
    let folder = path.folderPath
    let parent = folder.isEmpty ? "." : folder
    guard FileKind(parent) == .folder else {
      throw Failure(
        path, "cannot be written", "the folder '\(parent)' does not exist",
        remedy: "create the folder, or choose another path with \(option)")
    }
    guard FileManager.default.isWritableFile(atPath: parent) else {
      throw Failure(
        path, "cannot be written", "the folder '\(parent)' is not writable",
        remedy: "choose another path with \(option)")
    }
  }

  /// Refuses a path at which something else lies than an older document of the same kind: those may be replaced unasked.
  ///
  /// - Parameter schema: how the schema of such a document begins.
  /// - Returns: the document that would be replaced; nil where nothing is there.
  /// - Throws: `Failure` where something else is there, or cannot be read.
  package static func checkReplaceable(_ path: String, as noun: String, schema: String) throws -> JSON? {
    guard FileKind(path) != nil else { return nil }
    let bytes = try InputFile.read(path)
    guard let document = try? JSON(parsing: bytes), document["schema"]?.string?.hasPrefix(schema) == true else {
      throw Failure(
        path, "is not overwritten", "it exists already and is no \(noun)", remedy: "choose another path with -o")
    }
    return document
  }

  /// What the last call to the operating system failed with: nothing else may have been called since.
  private static func cannotWrite(_ target: OutputSet.Target) -> Failure {
    let code = errno
    return Failure(
      target.path, "cannot be written", unsafe String(cString: strerror(code)),
      remedy: "free some space or choose another path with \(target.option)")
  }
}
