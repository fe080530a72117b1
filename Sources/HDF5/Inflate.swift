import Basics
import CHDF5

/// What zlib, a part of every HDF5 library, does for ZIP archives.

/// Inflates a raw deflate stream (no zlib header).
///
/// - Parameter expectedCount: what the stream must inflate to, in bytes.
/// - Throws: `Failure` when the stream is damaged or has another size; also, before anything is allocated, when no
///   stream of this length can inflate to so much.
package func inflateRaw(_ bytes: ArraySlice<UInt8>, expectedCount: Int) throws -> [UInt8] {
  // Deflate never shrinks data to less than 1 : 1032.
  guard expectedCount >= 0, expectedCount / 1032 <= bytes.count else {
    throw Failure(
      "deflated data", "is damaged", "\(bytes.count) bytes cannot hold \(expectedCount)")
  }
  var result = [UInt8](repeating: 0, count: expectedCount)
  let status = unsafe bytes.withUnsafeBufferPointer { input in
    unsafe result.withUnsafeMutableBufferPointer { output in
      unsafe chdf5_inflate_raw(input.baseAddress, input.count, output.baseAddress, output.count)
    }
  }
  guard status == 0 else {
    throw Failure(
      "deflated data", "is damaged", "it does not inflate to \(expectedCount) bytes")
  }
  return result
}

/// The CRC-32 of ZIP archives.
package func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
  unsafe bytes.withUnsafeBufferPointer { unsafe chdf5_crc32($0.baseAddress, $0.count) }
}
