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
    try reduce(items, into: [], transform) { $0.append($1) }
  }

  /// Applies `transform` to every item as `map` does, and adds each result to `initial` as soon as all earlier ones are added: in the
  /// order of the items, so that sums do not depend on the number of threads. No more results wait than the threads make meanwhile.
  ///
  /// - Parameter add: is called by one thread at a time.
  /// - Throws: the error of the first item (in order) that failed; items not yet begun are left out.
  package func reduce<Item: Sendable, Result: Sendable, Sum: Sendable>(
    _ items: [Item], into initial: Sum, _ transform: @escaping @Sendable (Item) throws -> Result,
    _ add: @escaping @Sendable (inout Sum, Result) -> Void
  ) throws -> Sum {
    guard count > 1, items.count > 1 else {
      return try items.reduce(into: initial) { add(&$0, try transform($1)) }
    }
    let state = Mutex(ReductionState<Result, Sum>(sum: initial))
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
          state.withLock { $0.take(result, at: index, add) }
        } catch {
          state.withLock { state in
            if state.failure.map({ index < $0.index }) ?? true { state.failure = (index, error) }
          }
        }
      }
    }
    return try state.withLock { state in
      if let failure = state.failure { throw failure.error }
      return state.sum
    }
  }
}

/// Where the threads of one reduction meet.
private struct ReductionState<Result: Sendable, Sum: Sendable>: Sendable {
  /// The results that are added so far, in order.
  var sum: Sum
  /// The item that is begun next.
  var next = 0
  /// The item whose result is added next.
  private var place = 0
  /// Results behind it.
  private var waiting: [Int: Result] = [:]
  var failure: (index: Int, error: any Error)?

  init(sum: Sum) { self.sum = sum }

  mutating func take(_ result: Result, at index: Int, _ add: (inout Sum, Result) -> Void) {
    waiting[index] = result
    while let result = waiting.removeValue(forKey: place) {
      add(&sum, result)
      place += 1
    }
  }
}
