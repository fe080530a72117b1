import Basics
import Checkpoints
import Foundation
import Hashing
import TensorCore

/// ONNX models, with their weights inside or in files beside them.
package enum ONNXFormat: CheckpointFormat {
  package static let noun = "an ONNX model"
  package static let expected = ["an .onnx file"]
  package static let longSuffixes: [String] = []
  package static let writtenSuffixes: [String: String] = [:]
  package static let isStateDict = false

  /// Protocol buffers have no signature: ONNX begins with field 1, the IR version, then a field of its `ModelProto`.
  package static func recognizes(_ file: CheckpointFile) -> Bool {
    let bytes = file.bytes
    return bytes.count > 2 && bytes[0] == 0x08 && (1...32).contains(bytes[1])
      && [0x12, 0x1A, 0x22, 0x3A, 0x42].contains(bytes[2])
  }

  package static func claims(_ path: String) -> Bool { path.hasSuffix(".onnx") }

  package static func takesArchitecture(_ file: CheckpointFile) -> Bool { false }

  package static func open(_ file: consuming CheckpointFile, architecture: String?, stateDict: StateDictOptions) throws
    -> Checkpoint
  {
    let path = file.path
    var bytes = file.takeBytes()
    let byteCount = bytes.count
    return try Failure.within(path) {
      var hash = SHA256()
      hash.update(bytes)
      let folder = path.folderPath as NSString
      let proto = try ONNXModel.proto(parsing: bytes)
      // The parsed model holds them too.
      bytes = []
      let model = try ONNXModel(proto, byteCount: byteCount) { location in
        let bytes = try InputFile.read(folder.appendingPathComponent(location))
        hash.update(bytes)
        return bytes
      }
      let notices =
        model.externalFiles.isEmpty
        ? []
        : ["the weights lie in \(model.externalFiles.count) files beside the model; what is written is one file"]
      return Checkpoint(
        path: path, sha256: hash.hexadecimal(), byteCount: byteCount + model.externalByteCount,
        notices: notices, content: try ONNXGraph(model))
    }
  }
}
