import Basics
import Checkpoints
import Foundation
import Keras
import ONNX
import PyTorch
import TensorCore
import TestSupport
import Testing

@testable import Formats
@testable import Safetensors

@Suite struct CheckpointOpeningTests {
  private func archive(_ member: String) -> [UInt8] {
    var builder = ZipBuilder([1], crc: 0)
    builder.name = member
    return builder.bytes
  }

  @Test func knowsFilesByTheirContent() {
    func format(_ bytes: [UInt8]) -> (any CheckpointFormat.Type)? {
      CheckpointFormats.format(of: CheckpointFile(path: "m", bytes: bytes))
    }
    func unsupported(_ bytes: [UInt8]) -> String? {
      guard format(bytes) == nil else { return nil }
      return UnsupportedFile(CheckpointFile(path: "m", bytes: bytes)).map { "\($0.noun): \($0.remedy)" }
    }
    let hdf5: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
    #expect(format(hdf5) == KerasFormat.self)
    #expect(format(Array(repeating: 0, count: 1024) + hdf5) == KerasFormat.self)
    #expect(format(Array(repeating: 0, count: 600) + hdf5) == nil)
    #expect(unsupported(Array(repeating: 0, count: 600) + hdf5) == nil)
    #expect(format(Bytes.safetensors("{}")) == SafetensorsFormat.self)
    // The first byte of a header of 640 bytes is that of a pickle.
    #expect(format(Bytes.safetensors("{" + String(repeating: " ", count: 638) + "}")) == SafetensorsFormat.self)
    #expect(format([]) == nil)
    #expect(unsupported([]) == nil)
    #expect(format(archive("archive/data.pkl")) == PyTorchFormat.self)
    #expect(unsupported([0x80, 2, 0x8A, 10])?.contains("torch.save did not write") == true)
    #expect(unsupported(Array(repeating: 0, count: 257) + Array("ustar".utf8))?.contains("tar archive") == true)
    #expect(format(archive("model.weights.h5")) == KerasFormat.self)
    #expect(format([8, 7, 0x12, 7]) == ONNXFormat.self)
    #expect(unsupported(Array("PK".utf8) + [3, 4])?.contains("damaged") == true)
    #expect(unsupported([0, 0, 0, 0] + Array("TFL3".utf8))?.contains("TensorFlow Lite") == true)
  }

  @Test func opensASafetensorsFile() throws {
    let shard = SafetensorsSet.Shard(
      fileName: "m", metadata: ["kcompress": #"{"a":[1]}"#],
      tensors: [tensor("x.weight", .f32, [4, 2])])
    try withTemporaryFolder { folder in
      let path = folder + "/model"
      try OutputFile.write(shard.fileBytes(), to: path, overwrite: false)
      let checkpoint = try Checkpoint.open(path)
      #expect(checkpoint.format == "safetensors")
      #expect(checkpoint.layers.map(\.name) == ["x"])
      #expect(checkpoint.record == ["a": [1]])
      #expect(checkpoint.graph == nil && checkpoint.graphAbsence != nil)
      #expect(checkpoint.byteCount == shard.fileBytes().count)
      #expect(CheckpointPath(checkpoint.path).compressed == folder + "/model.compressed")
    }
  }

  @Test func saysWhatIsWrong() throws {
    try withTemporaryFolder { folder in
      func text(_ bytes: [UInt8], _ name: String = "m") -> String {
        message {
          let path = "\(folder)/\(name)"
          try OutputFile.write(bytes, to: path, overwrite: true)
          _ = try Checkpoint.open(path)
        }
      }
      #expect(
        text([1, 2, 3]).hasSuffix(
          "its content is that of no known checkpoint (expected a PyTorch .pt, .pth, .bin or .ckpt file, a .safetensors file, "
            + "a .safetensors.index.json, a Keras .keras or .h5 file or an .onnx file)"))
      #expect(text([1, 2, 3], "m.safetensors").contains("the file has 3 bytes"))
      #expect(text(archive("data.pkl")).contains("its pickle: is damaged"))
      let broken = SafetensorsSet.Shard(fileName: "m", metadata: ["kcompress": "{"], tensors: [])
      #expect(text(broken.fileBytes()).contains("metadata 'kcompress': is no valid JSON"))
    }
  }
}
