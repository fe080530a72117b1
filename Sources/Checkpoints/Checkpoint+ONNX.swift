import Basics
import Crypto
import Foundation
import TensorCore

/// The ONNX format's part of opening and writing.
extension Checkpoint {
  static func openONNX(path: String, bytes: [UInt8]) throws -> Checkpoint {
    do {
      var hash = SHA256()
      hash.update(data: bytes)
      var byteCount = bytes.count
      let model = try ONNXModel(path: path, parsing: bytes) { file in
        hash.update(data: file)
        byteCount += file.count
      }
      let content = try ONNXGraph(model)
      return Checkpoint(
        path: path, format: .onnx, formatVersion: "opset \(model.opset)", sha256: hexadecimal(hash.finalize()),
        byteCount: byteCount, tensors: model.tensors, layers: content.layers, graph: content.graph, graphAbsence: nil,
        notices: model.externalFiles.isEmpty
          ? []
          : ["the weights lie in \(model.externalFiles.count) files beside the model; what is written is one file"],
        record: try model.record(), content: .onnx(content))
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }
}
