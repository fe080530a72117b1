/// What a file is, from its first bytes.
enum FileSignature: Equatable {
  case hdf5
  case safetensors
  case onnx
  case kerasArchive
  /// A known kind that cannot be read as a checkpoint here, and what would help.
  case unsupported(kind: String, remedy: String)
  case unknown

  init(_ bytes: [UInt8]) {
    func begins(_ signature: [UInt8], at offset: Int = 0) -> Bool {
      bytes.count >= offset + signature.count
        && bytes[offset..<offset + signature.count].elementsEqual(signature)
    }
    if Self.hasHDF5Signature(bytes) {
      self = .hdf5
    } else if begins(Array("PK".utf8) + [3, 4]) || begins(Array("PK".utf8) + [5, 6]) {
      self = Self.zip(bytes)
    } else if begins([0x93] + Array("NUMPY".utf8)) {
      self = .unsupported(
        kind: "a NumPy array", remedy: "a checkpoint is expected; data files go to --calibration")
    } else if begins([0x80]), bytes.count > 1, (2...5).contains(bytes[1]), !Self.isSafetensors(bytes) {
      // A safetensors header of 640 bytes, say, begins in the same way.
      self = Self.pickle
    } else if begins(Array("TFL3".utf8), at: 4) {
      self = .unsupported(
        kind: "a TensorFlow Lite model", remedy: "compress the Keras model it was converted from")
    } else if begins(Array("GGUF".utf8)) {
      self = .unsupported(kind: "a GGUF file", remedy: "convert it to safetensors first")
    } else if Self.isSafetensors(bytes) {
      self = .safetensors
    } else if Self.isONNX(bytes) {
      self = .onnx
    } else {
      self = .unknown
    }
  }

  /// At 0, or after a user block of 512, 1024, 2048, ... bytes.
  static func hasHDF5Signature(_ bytes: [UInt8]) -> Bool {
    let signature: [UInt8] = [0x89] + Array("HDF".utf8) + [0x0D, 0x0A, 0x1A, 0x0A]
    var offset = 0
    while offset + signature.count <= bytes.count {
      if bytes[offset..<offset + signature.count].elementsEqual(signature) { return true }
      offset = offset == 0 ? 512 : offset * 2
    }
    return false
  }

  private static let pickle = FileSignature.unsupported(
    kind: "a PyTorch file, which is a pickle and may run code when read",
    remedy: "convert it to safetensors first")

  /// ZIP archives by what is in them.
  private static func zip(_ bytes: [UInt8]) -> FileSignature {
    guard let archive = try? ZipArchive(bytes) else {
      return .unsupported(kind: "a damaged ZIP archive", remedy: "fetch or make the file again")
    }
    let names = archive.members.map(\.name)
    if names.contains(where: { $0 == "data.pkl" || $0.hasSuffix("/data.pkl") }) { return pickle }
    if names.contains("model.weights.h5") {
      return .kerasArchive
    }
    return .unsupported(
      kind: "a ZIP archive", remedy: "expected a Keras .keras or .h5 file or a .safetensors file")
  }

  /// A plausible header length, then a JSON object.
  private static func isSafetensors(_ bytes: [UInt8]) -> Bool {
    bytes.count > 8 && bytes[8] == UInt8(ascii: "{")
      && bytes.littleEndian(UInt64.self, at: 0) <= UInt64(SafetensorsHeader.maximumLength)
  }

  /// Protocol buffers have no signature: ONNX begins with field 1, the IR version, then a field of its `ModelProto`.
  private static func isONNX(_ bytes: [UInt8]) -> Bool {
    bytes.count > 2 && bytes[0] == 0x08 && (1...32).contains(bytes[1])
      && [0x12, 0x1A, 0x22, 0x3A, 0x42].contains(bytes[2])
  }
}
