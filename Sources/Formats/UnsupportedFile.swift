import Checkpoints
import NumPy
import ZIP

/// A known kind of file that cannot be read as a checkpoint here, and what would help.
struct UnsupportedFile: Equatable {
  /// What a file of the kind is called in messages.
  let noun: String
  /// What the user can do.
  let remedy: String

  private static let pickle = UnsupportedFile(
    noun: "a pickle that torch.save did not write", remedy: "save a state_dict() with torch.save")

  private init(noun: String, remedy: String) {
    self.noun = noun
    self.remedy = remedy
  }

  /// Tells the kind of a file that no format recognises; nil where it is unknown.
  init?(_ file: CheckpointFile) {
    let bytes = file.bytes
    if file.begins(Array("PK".utf8) + [3, 4]) || file.begins(Array("PK".utf8) + [5, 6]) {
      self = Self.zip(bytes)
    } else if NumPyArray.isOne(bytes) {
      self.init(noun: "a NumPy array", remedy: "a checkpoint is expected; data files go to --calibration")
    } else if bytes.count > 1, bytes[0] == 0x80, (2...5).contains(bytes[1]) {
      self = Self.pickle
    } else if file.begins(Array("ustar".utf8), at: 257) {
      self.init(
        noun: "a tar archive, the form of PyTorch's files before version 0.1.10",
        remedy: "load it with PyTorch 2.5 or older and save it again")
    } else if file.begins(Array("TFL3".utf8), at: 4) {
      self.init(noun: "a TensorFlow Lite model", remedy: "compress the Keras model it was converted from")
    } else if file.begins(Array("GGUF".utf8)) {
      self.init(noun: "a GGUF file", remedy: "convert it to safetensors first")
    } else {
      return nil
    }
  }

  /// ZIP archives by what is in them.
  private static func zip(_ bytes: [UInt8]) -> UnsupportedFile {
    guard let archive = try? ZipArchive(bytes) else {
      return UnsupportedFile(noun: "a damaged ZIP archive", remedy: "fetch or make the file again")
    }
    return UnsupportedFile(noun: "a ZIP archive", remedy: "expected \(CheckpointFormats.expected)")
  }
}
