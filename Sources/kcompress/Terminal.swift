import Basics
import Foundation
import Running
import Synchronization

/// Where the program speaks: results on standard output, progress and warnings on standard error.
struct Terminal: Sendable {
  let json: Bool
  let quiet: Bool

  /// Prints a result, in the form that was asked for.
  ///
  /// - Throws: `Failure` where standard output takes no more: a result that nobody gets is none.
  func result(_ document: JSON, _ text: @autoclosure () -> String) throws {
    try Self.write((json ? document.text(.indented) : text()) + "\n")
  }

  /// Prints a warning or a notice.
  func notice(_ text: String) {
    if !quiet { Self.mutter("note: \(text)\n") }
  }

  /// Prints an error. Where standard error is closed, the exit status alone tells of it.
  static func error(_ text: String) { mutter("kcompress: \(text)\n") }

  /// Writes to standard output.
  ///
  /// - Throws: `Failure` where it is closed or full.
  static func write(_ text: String) throws {
    if let reason = put(text, STDOUT_FILENO) {
      throw Failure("standard output", "cannot be written", reason, remedy: "free some space, or open it")
    }
  }

  /// Writes to standard error; what does not arrive there is nowhere else to be told.
  static func mutter(_ text: String) { _ = put(text, STDERR_FILENO) }

  /// - Returns: why not all was written; nil where it was.
  private static func put(_ text: String, _ descriptor: Int32) -> String? {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = unsafe bytes.withUnsafeBytes { unsafe Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return unsafe String(cString: strerror(errno)) }
      bytes = bytes.dropFirst(count)
    }
    return nil
  }

  /// A bar where standard error is a terminal, nothing elsewhere.
  private func progressBar() -> ProgressBar? {
    quiet || isatty(STDERR_FILENO) == 0 || ProcessInfo.processInfo.environment["TERM"] == "dumb"
      ? nil : ProgressBar()
  }

  /// Does a job with a progress report that disappears afterwards.
  ///
  /// - Throws: what the job throws.
  func run<Work: Job>(_ job: Work, workers: Workers) throws -> Work.Result {
    guard let bar = progressBar() else { return try job.run(workers: workers, progress: .silent) }
    defer { bar.clear() }
    return try job.run(workers: workers, progress: ProgressHandler { bar.show($0) })
  }
}

/// One line that is drawn again and again: task, bar, count, the item that finished last.
private final class ProgressBar: Sendable {
  private let lastDrawn = Mutex(ContinuousClock.now - .seconds(1))

  func show(_ event: ProgressHandler.Event) {
    let isDue = lastDrawn.withLock { last in
      let now = ContinuousClock.now
      guard now - last > .milliseconds(50) || event.done == event.total else { return false }
      last = now
      return true
    }
    guard isDue else { return }
    let width = 24
    let filled = event.total > 0 ? width * event.done / event.total : width
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
    Terminal.mutter("\r\u{1B}[K\(event.task) [\(bar)] \(event.done)/\(event.total) \(event.item.prefix(32))")
  }

  func clear() { Terminal.mutter("\r\u{1B}[K") }
}
