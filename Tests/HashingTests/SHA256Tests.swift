import Hashing
import Testing

/// The vectors are those of NIST, FIPS 180-2, appendix B, and of the Cryptographic Algorithm Validation Program.
@Suite struct SHA256Tests {
  @Test func knownVectors() {
    let vectors = [
      ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
      (
        String(repeating: "a", count: 1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
      ),
    ]
    for (text, expected) in vectors { #expect(SHA256.hexadecimal(of: Array(text.utf8)) == expected) }
  }

  @Test func piecesGiveTheSameAsTheWhole() {
    let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 * 7) }
    let whole = SHA256.hexadecimal(of: bytes)
    for first in [0, 1, 63, 64, 65, 128, 300] {
      var hash = SHA256()
      hash.update(Array(bytes[..<first]))
      hash.update([])
      for byte in bytes[first...] { hash.update([byte]) }
      #expect(hash.hexadecimal() == whole, "\(first)")
    }
  }

  @Test func anUnfinishedHashLeavesOthersAlone() {
    do {
      var abandoned = SHA256()
      abandoned.update([1, 2, 3])
    }
    #expect(SHA256.hexadecimal(of: []).hasPrefix("e3b0c442"))
  }
}
