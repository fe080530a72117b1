/// How long work tells of itself; the commands draw it, the pipeline only reports.
public struct Progress: Sendable {
  /// One step of a task: `done` of `total` units are finished, the last of them being `item`.
  public struct Event: Sendable {
    public let task: String
    public let done: Int
    public let total: Int
    public let item: String
  }

  private let report: @Sendable (Event) -> Void

  /// - Parameter report: called from any thread.
  public init(_ report: @escaping @Sendable (Event) -> Void) { self.report = report }

  /// Reports to nobody.
  public static let silent = Progress { _ in }

  func callAsFunction(_ task: String, _ done: Int, of total: Int, _ item: String) {
    report(Event(task: task, done: done, total: total, item: item))
  }
}
