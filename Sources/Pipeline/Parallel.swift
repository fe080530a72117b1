import Dispatch
import Synchronization

/// The number of threads that a command may use, and the one way in which it uses them. BLAS itself is kept to one thread, so
/// that nothing is oversubscribed.
package struct Workers: Sendable {
  package let count: Int

  /// - Parameter count: at least 1.
  package init(count: Int) { self.count = max(1, count) }

  /// Applies `transform` to every item, at most `count` at a time, in the order of the items; the results keep that order,
  /// so the outcome does not depend on the number of threads.
  ///
  /// - Throws: the error of the first item (in order) that failed; items not yet begun are left out.
  package func map<Item: Sendable, Result: Sendable>(
    _ items: [Item], _ transform: @escaping @Sendable (Item) throws -> Result
  ) throws -> [Result] {
    guard count > 1, items.count > 1 else { return try items.map(transform) }
    let state = Mutex(MapState<Result>(results: Array(repeating: nil, count: items.count)))
    DispatchQueue.concurrentPerform(iterations: min(count, items.count)) { _ in
      while true {
        let index = state.withLock { state -> Int? in
          guard state.failure == nil, state.next < items.count else { return nil }
          defer { state.next += 1 }
          return state.next
        }
        guard let index else { return }
        do {
          let result = try transform(items[index])
          state.withLock { $0.results[index] = result }
        } catch {
          state.withLock { state in
            if state.failure.map({ index < $0.index }) ?? true { state.failure = (index, error) }
          }
        }
      }
    }
    return try state.withLock { state in
      if let failure = state.failure { throw failure.error }
      return state.results.compactMap { $0 }
    }
  }
}

/// Where the threads of one `map` meet.
private struct MapState<Result: Sendable>: Sendable {
  var next = 0
  var results: [Result?]
  var failure: (index: Int, error: any Error)?
}
