import Basics
import Checkpoints
import Formats
import TensorCore
import TestSupport
import Testing

@testable import Safetensors

@Suite struct ConversionTests {
  private func checkpoint(_ values: [Double], in folder: String) throws -> Checkpoint {
    let shard = SafetensorsSet.Shard(
      fileName: "m", metadata: [:],
      tensors: [
        StoredTensor(name: "a.weight", Tensor(shape: [2, 2], elements: values), as: .f32),
        StoredTensor(name: "count", dtype: .i64, shape: [], bytes: Array(repeating: 7, count: 8)),
      ])
    try OutputFile.write(shard.fileBytes(), to: folder + "/model.safetensors", overwrite: false)
    return try Checkpoint.open(folder + "/model.safetensors")
  }

  @Test(arguments: [DType.f16, .bf16, .f64]) func storesFloatsAsAnotherType(dtype: DType) throws {
    try withTemporaryFolder { folder in
      let original = try checkpoint([1, -0.5, 3, 65504], in: folder)
      let converted = try original.converted(to: dtype)
      #expect(converted.sha256 == original.sha256 && converted.notices.isEmpty)
      #expect(converted.layers.map(\.dtype) == [dtype])
      #expect(converted.tensors.first { $0.name == "count" } == original.tensors.first { $0.name == "count" })
      let size = try converted.byteCount(replacing: [], record: [:])
      let path = folder + "/converted.safetensors"
      try converted.write(replacing: [], record: [:], to: path, overwrite: false)
      let read = try Checkpoint.open(path)
      #expect(read.byteCount == size)
      let values = try read.tensor(named: "a.weight")?.decoded(as: Double.self).elements
      // bfloat16 has 8 bits: 65504 rounds to 65536, the others are exact.
      #expect(values == [1, -0.5, 3, dtype == .bf16 ? 65536 : 65504])
    }
  }

  @Test func keepsWhatTheTypeCannotHold() throws {
    try withTemporaryFolder { folder in
      let converted = try checkpoint([1, 2, 3, 1e6], in: folder).converted(to: .f16)
      #expect(converted.notices.count == 1 && converted.notices[0].contains("'a.weight'"))
      #expect(converted.layers.map(\.dtype) == [.f32])
      #expect(converted.tensors.first { $0.name == "a.weight" }?.dtype == .f32)
    }
  }
}
