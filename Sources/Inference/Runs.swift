// The only unsafe code of the engine: bulk access to spans, each behind one bounds check.

/// Copies `count` elements; where there are none, the places do not matter.
@inline(__always)
func copyRun(
  _ source: Span<Float>, at from: Int, to target: inout MutableSpan<Float>, at to: Int, count: Int
) {
  guard count != 0 else { return }
  precondition(
    count > 0 && from >= 0 && to >= 0 && count <= source.count - from && count <= target.count - to,
    "a run lies outside its storage")
  unsafe source.withUnsafeBufferPointer { source in
    unsafe target.withUnsafeMutableBufferPointer { target in
      guard let source = source.baseAddress, let target = target.baseAddress else { return }
      unsafe (target + to).update(from: source + from, count: count)
    }
  }
}

/// Sets `count` elements.
@inline(__always)
func fillRun(_ target: inout MutableSpan<Float>, at to: Int, count: Int, with value: Float = 0) {
  precondition(count >= 0 && to >= 0 && count <= target.count - to, "a run lies outside its storage")
  guard count > 0 else { return }
  unsafe target.withUnsafeMutableBufferPointer { target in
    guard let target = target.baseAddress else { return }
    unsafe (target + to).update(repeating: value, count: count)
  }
}

extension Span<Float> {
  /// Sixteen elements at once.
  @inline(__always)
  func sixteen(at offset: Int) -> SIMD16<Float> {
    precondition(offset >= 0 && offset <= count - 16, "a vector lies outside its storage")
    return unsafe withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: 4 * offset, as: SIMD16<Float>.self) }
  }
}

extension MutableSpan<Float> {
  /// Lends a part as a span of its own.
  @inline(__always)
  mutating func withPart(_ range: Range<Int>, _ body: (inout MutableSpan<Float>) -> Void) {
    var part = _mutatingExtracting(range)
    body(&part)
  }

  /// Stores sixteen elements at once.
  @inline(__always)
  mutating func store(_ vector: SIMD16<Float>, at offset: Int) {
    precondition(offset >= 0 && offset <= count - 16, "a vector lies outside its storage")
    unsafe withUnsafeMutableBytes { unsafe $0.storeBytes(of: vector, toByteOffset: 4 * offset, as: SIMD16<Float>.self) }
  }
}

extension Array<Float> {
  /// `count` elements that `body` must all set; saves writing zeros first.
  init(count: Int, writtenBy body: (inout MutableSpan<Float>) throws -> Void) rethrows {
    unsafe try self.init(unsafeUninitializedCapacity: count) { buffer, initialized in
      var span = unsafe MutableSpan(_unsafeElements: buffer)
      try body(&span)
      initialized = count
    }
  }
}
