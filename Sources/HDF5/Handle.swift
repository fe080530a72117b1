import Basics
import CHDF5
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
struct Handle: ~Copyable {
  let id: hid_t
  private let close: (hid_t) -> herr_t

  /// - Throws: `Failure` when `id` is negative, with what the library says about it.
  init(_ id: hid_t, _ close: @escaping (hid_t) -> herr_t, _ subject: @autoclosure () -> String) throws {
    guard id >= 0 else { throw libraryFailure(subject()) }
    self.id = id
    self.close = close
  }

  deinit { _ = close(id) }
}

/// What has just gone wrong in the library.
func libraryFailure(_ subject: String, _ problem: String = "cannot be read") -> Failure {
  let message = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 400) { text in
    guard let start = text.baseAddress else { return "" }
    unsafe chdf5_last_error(start, text.count)
    return unsafe String(cString: start)
  }
  if message.hasPrefix("truncated file") {
    return Failure(
      subject, problem, "it is truncated, shorter than its header says",
      remedy: "copy or download it again")
  }
  return Failure(
    subject, problem, message.isEmpty ? "the HDF5 library refuses it" : "HDF5 library: \(message)")
}

/// Checks the status of a call.
func check(_ status: herr_t, _ subject: @autoclosure () -> String, _ problem: String) throws {
  guard status >= 0 else { throw libraryFailure(subject(), problem) }
}
