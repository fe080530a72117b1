extension HDF5File {
  /// Whether a file has the signature of HDF5: at 0, or after a user block of 512, 1024, 2048, ... bytes.
  package static func isOne(_ bytes: [UInt8]) -> Bool {
    let signature: [UInt8] = [0x89] + Array("HDF".utf8) + [0x0D, 0x0A, 0x1A, 0x0A]
    var offset = 0
    while offset + signature.count <= bytes.count {
      if bytes[offset..<offset + signature.count].elementsEqual(signature) { return true }
      offset = offset == 0 ? 512 : offset * 2
    }
    return false
  }
}
