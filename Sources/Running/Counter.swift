import Synchronization

/// Counts finished items from several threads.
package final class Counter: Sendable {
  private let count = Mutex(0)

  package init() {}

  /// The number of calls so far, this one included.
  package func next() -> Int {
    count.withLock { count in
      count += 1
      return count
    }
  }
}
