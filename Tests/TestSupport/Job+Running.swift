import Running

extension Job {
  /// Does the work silently.
  package func run(threads: Int = 2) throws -> Result {
    try run(workers: Workers(count: threads), progress: .silent)
  }
}
