import CCrypto

/// The SHA-256 of bytes that come in pieces.
///
/// The library's memory is the type's own and goes with it.
///
/// Source: NIST, FIPS 180-4, "Secure Hash Standard"; computed by OpenSSL's libcrypto.
@safe package struct SHA256: ~Copyable {
  private let hash: OpaquePointer

  /// Begins with no bytes.
  ///
  /// - Precondition: The library has SHA-256 and a few hundred bytes of memory.
  package init() {
    guard let hash = unsafe ccrypto_sha256_create() else { preconditionFailure("libcrypto gives no SHA-256") }
    unsafe self.hash = hash
  }

  deinit { unsafe ccrypto_sha256_destroy(hash) }

  /// Adds bytes behind those that came before.
  package mutating func update(_ bytes: [UInt8]) {
    let status = unsafe bytes.withUnsafeBufferPointer { bytes in
      unsafe ccrypto_sha256_update(hash, bytes.baseAddress, bytes.count)
    }
    precondition(status == 0, "libcrypto refuses \(bytes.count) bytes for a SHA-256")
  }

  /// The hash of all bytes in lower-case hexadecimal, 64 digits. Nothing can be added afterwards.
  package consuming func hexadecimal() -> String {
    var digest = [UInt8](repeating: 0, count: Int(ccrypto_sha256_size))
    let status = unsafe digest.withUnsafeMutableBufferPointer { digest in
      unsafe ccrypto_sha256_finish(hash, digest.baseAddress)
    }
    precondition(status == 0, "libcrypto does not finish a SHA-256")
    return digest.map { byte in
      let digits = String(byte, radix: 16)
      return digits.count == 1 ? "0" + digits : digits
    }.joined()
  }

  /// The hash of bytes in lower-case hexadecimal, 64 digits.
  package static func hexadecimal(of bytes: [UInt8]) -> String {
    var hash = SHA256()
    hash.update(bytes)
    return hash.hexadecimal()
  }
}
