/// How work that takes long tells how far it is; the commands draw it, the jobs only report.
package struct ProgressHandler: Sendable {
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
  package static let silent = ProgressHandler { _ in }

  /// Tells that `done` of `total` units are finished, the last of them `item`.
  package func callAsFunction(_ task: String, _ done: Int, of total: Int, _ item: String) {
    report(Event(task: task, done: done, total: total, item: item))
  }
}
