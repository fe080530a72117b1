/// Batches that are cut into pieces, each on one thread.
extension Workers {
  /// Applies `transform` to ranges of at most `size` that make up 0..<count; the results keep their order.
  ///
  /// - Throws: the error of the first range that failed.
  package func mapPieces<Result: Sendable>(
    of count: Int, size: Int, _ transform: @escaping @Sendable (Range<Int>) throws -> Result
  ) throws -> [Result] {
    try map(Array(stride(from: 0, to: count, by: size))) { try transform($0..<min($0 + size, count)) }
  }

  /// Applies `transform` to ranges of at most `size` that make up 0..<count and adds up the results in their order, each as it comes.
  ///
  /// - Parameter add: is called by one thread at a time.
  /// - Throws: the error of the first range that failed.
  package func reducePieces<Result: Sendable, Sum: Sendable>(
    of count: Int, size: Int, into initial: Sum, _ transform: @escaping @Sendable (Range<Int>) throws -> Result,
    _ add: @escaping @Sendable (inout Sum, Result) -> Void
  ) throws -> Sum {
    let starts = Array(stride(from: 0, to: count, by: size))
    return try reduce(starts, into: initial, { try transform($0..<min($0 + size, count)) }, add)
  }
}
