import Basics
import Formats
import Safetensors
import TensorCore
import TestSupport
import Testing

@Suite struct DataFileTests {
  @Test func readsEveryKindByContent() throws {
    let arrays = [tensor("labels", .i64, [3]), tensor("inputs", .u8, [3, 2])]
    try withTemporaryFolder { folder in
      let path = folder + "/data"
      try DataFile.writeNumPyArchive(arrays, to: path, overwrite: false)
      #expect(try DataFile.read(path) == arrays)
      try DataFile.writeNumPy(arrays[0], to: path, overwrite: true)
      #expect(try DataFile.read(path) == [arrays[0].renamed("inputs")])
      try SafetensorsFile(tensors: arrays).write(to: path, overwrite: true)
      #expect(try DataFile.read(path).map(\.name) == ["labels", "inputs"])
    }
  }

  @Test func saysWhatIsWrong() throws {
    try withTemporaryFolder { folder in
      func text(_ bytes: [UInt8]) -> String {
        message {
          try OutputFile.write(bytes, to: folder + "/data", overwrite: true)
          _ = try DataFile.read(folder + "/data")
        }
      }
      #expect(text([]).contains("no known data file"))
      #expect(text([0x80, 2]).contains("pickle"))
      let object = Bytes.numPy("|O", "(1,)", [0x2E])
      #expect(text(object).contains("/data: array: is not read: it holds pickled"))
      #expect(message { _ = try DataFile.read(folder + "/none") }.contains("no such file"))
    }
  }

  @Test(.needsShared("cifar10/calibration.npz"))
  func readsARealCalibrationSet() throws {
    let arrays = try DataFile.read(#require(TestPath.shared("cifar10/calibration.npz")))
    #expect(arrays.map(\.name) == ["inputs", "labels"])
    #expect(
      arrays[0].shape.dropFirst() == [32, 32, 3] || arrays[0].shape.dropFirst() == [3, 32, 32])
    #expect(arrays[0].shape[0] == arrays[1].shape[0])
    let labels = try arrays[1].decoded(as: Float.self).elements
    #expect(Set(labels) == Set((0..<10).map(Float.init)))
  }
}
