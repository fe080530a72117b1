import Basics
public func inflateRaw(_ bytes: ArraySlice<UInt8>, expectedCount: Int) throws -> [UInt8] { throw Failure("", "temp", "") }
public func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 { 0 }
