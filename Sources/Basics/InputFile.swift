import Foundation
import Glibc

/// Reading whole files with errors that name them.
package enum InputFile {
  /// The bytes of a file.
  ///
  /// - Throws: `Failure` when the path is no readable regular file.
  package static func read(_ path: String) throws -> [UInt8] {
    try check(path)
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw cannotRead(path) }
    defer { _ = Glibc.close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw cannotRead(path) }
    // Straight into the array, so that a large file is in memory once. What grows meanwhile, or states no size, is read to its end.
    var bytes = try part(of: descriptor, count: Int(status.st_size), path)
    while true {
      let more = try part(of: descriptor, count: 1 << 16, path)
      if more.isEmpty { return bytes }
      bytes += more
    }
  }

  /// The next bytes of a file, as many as there are at most.
  private static func part(of descriptor: CInt, count: Int, _ path: String) throws -> [UInt8] {
    try unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
      while done < count {
        let rest = unsafe UnsafeMutableRawBufferPointer(buffer)[done...]
        let got = unsafe Glibc.read(descriptor, UnsafeMutableRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if got < 0, errno == EINTR { continue }
        guard got >= 0 else { throw cannotRead(path) }
        if got == 0 { return }
        done += got
      }
    }
  }

  /// What the last call to the operating system failed with: nothing else may have been called since.
  private static func cannotRead(_ path: String) -> Failure {
    let code = errno
    return Failure(path, "cannot be read", unsafe String(cString: strerror(code)))
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
