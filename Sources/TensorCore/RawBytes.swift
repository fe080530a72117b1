/// Bulk copies between bytes and elements: the module's only unsafe expressions. Files are little-endian and so is every
/// machine that this program runs on, so an element's memory is its stored form.
extension Array where Element == UInt8 {
  /// The bytes as elements of a plain type.
  ///
  /// - Precondition: the bytes fill whole elements.
  func elements<Raw: BitwiseCopyable>(of _: Raw.Type) -> [Raw] {
    let width = MemoryLayout<Raw>.stride
    precondition(count % width == 0, "\(count) bytes do not fill elements of \(width) bytes")
    let elementCount = count / width
    return unsafe withUnsafeBytes { source in
      unsafe [Raw](unsafeUninitializedCapacity: elementCount) { target, initializedCount in
        unsafe UnsafeMutableRawBufferPointer(target).copyMemory(from: source)
        initializedCount = elementCount
      }
    }
  }
}

extension Array where Element: BitwiseCopyable {
  /// The elements as they lie in memory.
  public var rawBytes: [UInt8] {
    unsafe withUnsafeBytes { bytes in unsafe [UInt8](bytes) }
  }
}
