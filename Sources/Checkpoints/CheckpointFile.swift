import Basics

/// A file on its way to a format.
package struct CheckpointFile: Sendable {
  /// Where the file lies.
  package let path: String
  /// The whole content.
  package private(set) var bytes: [UInt8]

  /// Reads a file.
  ///
  /// - Throws: `Failure` where the path leads to no readable file, or the file is empty.
  package init(path: String) throws {
    self.init(path: path, bytes: try InputFile.read(path))
    guard !bytes.isEmpty else {
      throw Failure(path, "cannot be read", "it is empty", remedy: "fetch or make the file again")
    }
  }

  /// Takes bytes as those of a file.
  package init(path: String, bytes: [UInt8]) {
    self.path = path
    self.bytes = bytes
  }

  /// Gives the content away, so that it need not be held beside what is read from it.
  package mutating func takeBytes() -> [UInt8] {
    defer { bytes = [] }
    return bytes
  }

  /// Says that the file takes no architecture from another file, for the caller to add the path.
  package static let hasArchitecture = Failure(
    "", "takes no --architecture", "it has one of its own", remedy: "leave the option out")

  /// Whether the bytes from `offset` on begin with a signature.
  package func begins(_ signature: [UInt8], at offset: Int = 0) -> Bool {
    bytes.count >= offset + signature.count
      && bytes[offset..<offset + signature.count].elementsEqual(signature)
  }
}
