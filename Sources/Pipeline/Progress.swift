/// How long work tells of itself; the commands draw it, the pipeline only reports.
package struct Progress: Sendable {
  /// One step of a task: `done` of `total` units are finished, the last of them being `item`.
  package struct Event: Sendable {
    package let task: String
    package let done: Int
    package let total: Int
    package let item: String
  }

  private let report: @Sendable (Event) -> Void

  /// - Parameter report: called from any thread.
  package init(_ report: @escaping @Sendable (Event) -> Void) { self.report = report }

  /// Reports to nobody.
  package static let silent = Progress { _ in }

  func callAsFunction(_ task: String, _ done: Int, of total: Int, _ item: String) {
    report(Event(task: task, done: done, total: total, item: item))
  }
}
