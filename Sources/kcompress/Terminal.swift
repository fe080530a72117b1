import Basics
import Foundation
import Pipeline
import Synchronization

/// Where the program speaks: results on standard output, progress and warnings on standard error.
struct Terminal: Sendable {
  let json: Bool
  let quiet: Bool

  /// Prints a result, in the form that was asked for.
  func result(_ document: JSON, _ text: @autoclosure () -> String) {
    print(json ? document.text(.indented) : text())
  }

  /// Prints a warning or a notice.
  func notice(_ text: String) {
    if !quiet { Self.write("note: \(text)\n") }
  }

  static func error(_ text: String) { write("kcompress: \(text)\n") }

  fileprivate static func write(_ text: String) {
    FileHandle.standardError.write(Data(text.utf8))
  }

  /// A bar where standard error is a terminal, nothing elsewhere.
  func progress() -> ProgressBar? {
    quiet || isatty(STDERR_FILENO) == 0 || ProcessInfo.processInfo.environment["TERM"] == "dumb"
      ? nil : ProgressBar()
  }

  /// Runs `body` with a progress report that disappears afterwards.
  func withProgress<Result>(_ body: (Pipeline.Progress) throws -> Result) rethrows -> Result {
    guard let bar = progress() else { return try body(.silent) }
    defer { bar.clear() }
    return try body(Pipeline.Progress { bar.show($0) })
  }
}

/// One line that is drawn again and again: task, bar, count, the item that finished last.
final class ProgressBar: Sendable {
  private let lastDrawn = Mutex(ContinuousClock.now - .seconds(1))

  func show(_ event: Pipeline.Progress.Event) {
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
    Terminal.write("\r\u{1B}[K\(event.task) [\(bar)] \(event.done)/\(event.total) \(event.item.prefix(32))")
  }

  func clear() { Terminal.write("\r\u{1B}[K") }
}
