import Basics
import CHDF5
import Foundation
import Synchronization

/// The library keeps its state in global variables and may be built without locks.
private let lock = Mutex<Bool>(false)

/// Runs `body` as the only user of the library.
func withHDF5Library<Result>(_ body: () throws -> Result) throws -> Result {
  try lock.withLock { isInitialized in
    if !isInitialized {
      chdf5_initialize()
      isInitialized = true
    }
    chdf5_silence_thread()
    return try body()
  }
}

/// An identifier of the library that closes itself.
///
/// What is written must be closed by `close(writing:)`: the library keeps data in buffers, and closing is when it learns that the
/// disk is full.
struct Handle: ~Copyable {
  let id: hid_t
  private let release: @convention(c) (hid_t) -> herr_t

  /// - Throws: `Failure` when `id` is negative, with what the library says about it.
  init(
    _ id: hid_t, _ release: @convention(c) (hid_t) -> herr_t, _ subject: @autoclosure () -> String,
    _ problem: String = "cannot be read"
  ) throws {
    guard id >= 0 else { throw libraryFailure(subject(), problem) }
    self.id = id
    self.release = release
  }

  /// For what has been read, and for what is given up because of another error.
  deinit { _ = release(id) }

  /// Closes an object to which something was written.
  ///
  /// - Parameter subject: what the error is about.
  /// - Throws: `Failure` when what the library still held cannot be written.
  consuming func close(writing subject: String) throws {
    let (id, release) = (id, release)
    discard self
    try check(release(id), subject, "cannot be written")
  }
}

/// What has just gone wrong in the library.
func libraryFailure(_ subject: String, _ problem: String = "cannot be read") -> Failure {
  // A message names the file with its path, which may have 4096 bytes.
  let message = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 5000) { text in
    guard let start = text.baseAddress else { return "" }
    unsafe chdf5_last_error(start, text.count)
    return unsafe String(cString: start)
  }
  if let reason = systemReason(in: message) {
    return Failure(
      subject, problem, reason,
      remedy: problem == "cannot be written" ? "free some space or choose another path with -o" : nil)
  }
  if message.hasPrefix("truncated file") {
    return Failure(
      subject, problem, "it is truncated, shorter than its header says",
      remedy: "copy or download it again")
  }
  return Failure(
    subject, problem, message.isEmpty ? "the HDF5 library refuses it" : "HDF5 library: \(message.prefix(400))")
}

/// What the operating system said, which the library puts among addresses and times: `..., error message = 'No space left on
/// device', ...`; nil where it was the library itself that refused.
private func systemReason(in message: String) -> String? {
  let parts = message.components(separatedBy: "error message = '")
  guard parts.count == 2, let end = parts[1].firstIndex(of: "'") else { return nil }
  return String(parts[1][..<end])
}

/// Checks the status of a call.
func check(_ status: herr_t, _ subject: @autoclosure () -> String, _ problem: String) throws {
  guard status >= 0 else { throw libraryFailure(subject(), problem) }
}
