import Basics
import Foundation
import Hashing
import Safetensors
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct CheckpointOpeningTests {
  private func archive(_ member: String) -> [UInt8] {
    var builder = ZipBuilder([1], crc: 0)
    builder.name = member
    return builder.bytes
  }

  @Test func knowsFilesByTheirContent() {
    func remedy(_ bytes: [UInt8]) -> String {
      if case .unsupported(let kind, let remedy) = FileSignature(bytes) {
        "\(kind): \(remedy)"
      } else {
        ""
      }
    }
    let hdf5: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
    #expect(FileSignature(hdf5) == .hdf5)
    #expect(FileSignature(Array(repeating: 0, count: 1024) + hdf5) == .hdf5)
    #expect(FileSignature(Array(repeating: 0, count: 600) + hdf5) == .unknown)
    #expect(FileSignature(Bytes.safetensors("{}")) == .safetensors)
    #expect(FileSignature([]) == .unknown)
    #expect(remedy(archive("archive/data.pkl")).contains("convert it to safetensors first"))
    #expect(remedy([0x80, 2, 0x8A, 10]).contains("convert it to safetensors first"))
    #expect(FileSignature(archive("model.weights.h5")) == .kerasArchive)
    #expect(FileSignature([8, 7, 0x12, 7]) == .onnx)
    #expect(remedy(Array("PK".utf8) + [3, 4]).contains("damaged"))
    #expect(remedy([0, 0, 0, 0] + Array("TFL3".utf8)).contains("TensorFlow Lite"))
  }

  @Test func opensASafetensorsFile() throws {
    let shard = SafetensorsSet.Shard(
      fileName: "m", metadata: ["kcompress": #"{"a":[1]}"#],
      tensors: [tensor("x.weight", .f32, [4, 2])])
    try withTemporaryFolder { folder in
      let path = folder + "/model"
      try OutputFile.write(shard.fileBytes(), to: path, overwrite: false)
      let checkpoint = try Checkpoint.open(path)
      #expect(checkpoint.format == .safetensors)
      #expect(checkpoint.layers.map(\.name) == ["x"])
      #expect(checkpoint.record == ["a": [1]])
      #expect(checkpoint.graph == nil && checkpoint.graphAbsence != nil)
      #expect(checkpoint.byteCount == shard.fileBytes().count)
      #expect(CheckpointPath(checkpoint.path).compressed == folder + "/model.compressed")
    }
    // FIPS 180-2, appendix B.1.
    #expect(
      SHA256.hexadecimal(of: Array("abc".utf8))
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
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
      #expect(text([1, 2, 3]).contains("no known checkpoint"))
      #expect(text([1, 2, 3], "m.safetensors").contains("the file has 3 bytes"))
      #expect(text(archive("data.pkl")).contains("may run code"))
      let broken = SafetensorsSet.Shard(fileName: "m", metadata: ["kcompress": "{"], tensors: [])
      #expect(text(broken.fileBytes()).contains("metadata 'kcompress': is no valid JSON"))
    }
  }
}
