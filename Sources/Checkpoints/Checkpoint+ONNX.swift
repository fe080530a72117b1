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
      let notices =
        model.externalFiles.isEmpty
        ? []
        : ["the weights lie in \(model.externalFiles.count) files beside the model; what is written is one file"]
      return try Checkpoint(path, model, sha256: hexadecimal(hash.finalize()), byteCount, notices: notices)
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }

  init(_ path: String, _ model: ONNXModel, sha256: String, _ byteCount: Int, notices: [String]) throws {
    let content = try ONNXGraph(model)
    self.init(
      path: path, format: .onnx, formatVersion: "opset \(model.opset)", sha256: sha256, byteCount: byteCount,
      tensors: model.tensors, layers: content.layers, graph: content.graph, graphAbsence: nil, notices: notices,
      record: try model.record(), content: .onnx(content))
  }
}
