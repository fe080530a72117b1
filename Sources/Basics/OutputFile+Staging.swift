import Foundation

extension OutputFile {
  /// Lets a writer that knows its own files write them where nobody sees them yet, for a set that takes its place as a whole.
  ///
  /// - Parameter body: gets a path of the same name in a new folder beside `path`; the folder goes away with what is left in it.
  /// - Throws: what `body` throws, a `Failure` with the path that is meant in place of the hidden one.
  package static func staging<Result>(_ path: String, _ body: (_ stagedPath: String) throws -> Result) throws -> Result
  {
    let parent = path.folderPath
    return try TemporaryFolder.with(in: parent.isEmpty ? "." : parent) { folder in
      do {
        return try body((folder as NSString).appendingPathComponent((path as NSString).lastPathComponent))
      } catch let failure as Failure {
        func named(_ text: String) -> String { text.replacing(folder + "/", with: parent.isEmpty ? "" : parent + "/") }
        throw Failure(
          named(failure.subject), named(failure.problem), named(failure.reason), remedy: failure.remedy.map(named))
      }
    }
  }

  /// Writes the whole contents of files and lets staged ones take their place with them: all or none.
  ///
  /// - Parameters:
  ///   - staged: the path that `staging` gave. What was written beside it goes where it goes, and it itself comes last: the others
  ///     are found through it.
  ///   - target: where the staged file goes.
  /// - Throws: `Failure` when a target exists and may not be replaced, or when one cannot be written.
  package static func writeSet(
    _ files: [(target: OutputSet.Target, bytes: [UInt8])], staged: String, as target: OutputSet.Target, overwrite: Bool
  ) throws {
    let (source, folder) = (staged.folderPath as NSString, target.path.folderPath as NSString)
    let last = (staged as NSString).lastPathComponent
    let names = try FileManager.default.contentsOfDirectory(atPath: source as String).filter { $0 != last }.sorted()
    let moved = names.map { OutputSet.Target(folder.appendingPathComponent($0), option: target.option) } + [target]
    try replaceSet(files.map(\.target) + moved, overwrite: overwrite) { temporaries in
      try create(temporaries, of: files)
      for (name, temporary) in zip(names + [last], temporaries.suffix(moved.count)) {
        try move(source.appendingPathComponent(name), to: temporary, of: target)
      }
    }
  }
}
