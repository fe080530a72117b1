extension Optional {
  /// The value, where it cannot be absent.
  ///
  /// - Parameter reason: A sentence that says why it is there; printed where the program is wrong about that.
  /// - Precondition: There is a value.
  @inlinable @inline(__always)
  public func required(
    _ reason: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
  ) -> Wrapped {
    guard let self else { preconditionFailure(reason(), file: file, line: line) }
    return self
  }
}
