// TEMPORARY, NOT COMMITTED
import Basics
import CHDF5
public func inflateRaw(_ bytes: ArraySlice<UInt8>, expectedCount: Int) throws -> [UInt8] {
  var out = [UInt8](repeating: 0, count: expectedCount)
  let rc = unsafe bytes.withUnsafeBufferPointer { i in
    unsafe out.withUnsafeMutableBufferPointer { o in
      unsafe temporary_inflate(i.baseAddress, i.count, o.baseAddress, o.count) } }
  guard rc == 0 else { throw Failure("deflate stream", "is damaged", "zlib \(rc)") }
  return out
}
public func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
  unsafe bytes.withUnsafeBufferPointer { unsafe temporary_crc($0.baseAddress, $0.count) }
}
