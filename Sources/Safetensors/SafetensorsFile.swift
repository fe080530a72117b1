import Basics
import TensorCore

/// A safetensors file as plain tensors and texts, for files that are no checkpoint of layers.
package struct SafetensorsFile: Sendable {
  /// The tensors in the order of the file; names are unique.
  package var tensors: [StoredTensor]
  /// The texts of the file by their keys.
  package var metadata: [String: String]

  /// Makes the content of a file.
  package init(tensors: [StoredTensor], metadata: [String: String] = [:]) {
    self.tensors = tensors
    self.metadata = metadata
  }

  /// Parses the bytes of a file.
  ///
  /// - Throws: `Failure` about the header or a tensor, for the caller to add the path.
  package init(parsing bytes: [UInt8]) throws {
    let shard = try SafetensorsSet.Shard(fileName: "", parsing: bytes)
    self.init(tensors: shard.tensors, metadata: shard.metadata)
  }

  /// Reads a file.
  ///
  /// - Throws: `Failure` that names the file where it cannot be read.
  package init(path: String) throws {
    let bytes = try InputFile.read(path)
    self = try Failure.within(path) { try SafetensorsFile(parsing: bytes) }
  }

  /// Whether a file begins as a safetensors file does: with a plausible length of its header, then a JSON object.
  package static func isOne(_ bytes: [UInt8]) -> Bool {
    bytes.count > 8 && bytes[8] == UInt8(ascii: "{")
      && bytes.littleEndian(UInt64.self, at: 0) <= UInt64(SafetensorsHeader.maximumLength)
  }

  /// The bytes of the file. The same content gives the same bytes.
  ///
  /// - Precondition: The tensors have unique names.
  package var fileBytes: [UInt8] {
    precondition(Set(tensors.map(\.name)).count == tensors.count, "tensors need unique names")
    return SafetensorsSet.Shard(fileName: "", metadata: metadata, tensors: tensors).fileBytes()
  }

  /// Writes the file.
  ///
  /// - Precondition: The tensors have unique names.
  /// - Throws: `Failure` where the file exists and may not be replaced, or cannot be written.
  package func write(to path: String, overwrite: Bool) throws {
    try OutputFile.write(fileBytes, to: path, overwrite: overwrite)
  }
}
