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

extension Array where Element == UInt8 {
  /// What a function makes of the elements of a plain type, without these as an array.
  ///
  /// - Precondition: the bytes fill whole elements.
  @inline(__always)
  func mapElements<Raw: BitwiseCopyable, Result>(of _: Raw.Type, _ transform: (Raw) -> Result) -> [Result] {
    let width = MemoryLayout<Raw>.stride
    precondition(count % width == 0, "\(count) bytes do not fill elements of \(width) bytes")
    return unsafe withUnsafeBytes { source in
      (0..<source.count / width).map {
        transform(unsafe source.loadUnaligned(fromByteOffset: $0 * width, as: Raw.self))
      }
    }
  }
}

extension Array where Element: BitwiseCopyable {
  /// The bytes of what a function makes of every element, without these as an array.
  @inline(__always)
  func mapBytes<Raw: BitwiseCopyable>(_ transform: (Element) -> Raw) -> [UInt8] {
    let width = MemoryLayout<Raw>.stride
    let source = span
    return unsafe [UInt8](unsafeUninitializedCapacity: source.count * width) { target, initializedCount in
      let bytes = UnsafeMutableRawBufferPointer(target)
      for i in 0..<source.count {
        unsafe bytes.storeBytes(of: transform(source[i]), toByteOffset: i * width, as: Raw.self)
      }
      initializedCount = source.count * width
    }
  }

  /// The elements as they lie in memory.
  public var rawBytes: [UInt8] {
    unsafe withUnsafeBytes { bytes in unsafe [UInt8](bytes) }
  }
}
