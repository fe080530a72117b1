extension Int {
  /// The axis counted from the front. A negative axis counts from the end: -1 is the last.
  ///
  /// - Parameter rank: The count of axes.
  /// - Precondition: The axis exists. `ModelGraph.shapes` has checked the axes of files before.
  @inlinable public func normalizedAxis(rank: Int) -> Int {
    precondition((-rank..<rank).contains(self), "axis \(self) does not exist among \(rank) axes")
    return self < 0 ? self + rank : self
  }
}
