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
}
