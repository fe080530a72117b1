import Basics
import Foundation
import HDF5
import TensorCore
import TestSupport
import Testing

@testable import NumPy

@Suite struct NumPyTests {
  private func read(_ file: [UInt8]) throws -> StoredTensor { try NumPyArray.read(name: "a", file) }

  @Test(arguments: [1, 2, 3] as [UInt8])
  func readsEveryVersion(version: UInt8) throws {
    let array = try read(Bytes.numPy("<i2", "(2, 1)", [1, 0, 255, 255], version: version))
    #expect(array.shape == [2, 1])
    #expect(try array.decoded(as: Float.self).elements == [1, -1])
  }

  @Test func readsByteAndModeOrders() throws {
    #expect(
      try read(Bytes.numPy(">i4", "(2,)", [0, 0, 1, 0, 255, 255, 255, 254])).decoded(
        as: Double.self
      ).elements == [256, -2])
    #expect(
      try read(Bytes.numPy(">f8", "()", [0x40, 0, 0, 0, 0, 0, 0, 0])).decoded(as: Double.self)
        .elements == [2])
    let columns = Bytes.numPy("|u1", "(2, 3)", [0, 3, 1, 4, 2, 5], fortranOrder: true)
    #expect(try read(columns).bytes == [0, 1, 2, 3, 4, 5])
    let wide = Bytes.numPy(">u2", "(2, 2)", [0, 1, 0, 3, 0, 2, 0, 4], fortranOrder: true)
    #expect(try read(wide).decoded(as: Float.self).elements == [1, 2, 3, 4])
    #expect(try read(Bytes.numPy("?", "(2,)", [0, 1])).dtype == .bool)
    #expect(try read(Bytes.numPy("=f4", "(0, 7)", [])).shape == [0, 7])
  }

  @Test func aFortranOrderOfManyModesIsATransposition() throws {
    let shape = [3, 4, 2, 5]
    let reversed = Tensor<Float>(shape: shape.reversed(), elements: (0..<120).map(Float.init))
    let stored = StoredTensor(name: "a", reversed, as: .f32)
    let file = Bytes.numPy("<f4", "(3, 4, 2, 5)", stored.bytes, fortranOrder: true)
    #expect(try read(file).decoded() == reversed.permuted([3, 2, 1, 0]))
  }

  @Test(
    arguments: [.bool, .u8, .i8, .u16, .i16, .u32, .i32, .u64, .i64, .f16, .f32, .f64] as [DType])
  func everyTypeComesBack(dtype: DType) throws {
    for shape in [[], [3], [2, 3], [0, 2]] {
      let array = tensor("a", dtype, shape)
      let file = try NumPyArray.fileBytes(array)
      #expect((file.count - array.bytes.count) % 64 == 0)
      #expect(try read(file) == array)
    }
  }

  @Test(
    arguments: [
      ("truncated", Bytes.numPy("<f4", "(2,)", [0, 0, 0]), "needs 8 bytes, and 3 follow"),
      ("trailing", Bytes.numPy("<f4", "()", [0, 0, 0, 0, 0]), "needs 4 bytes, and 5 follow"),
      ("pickled", Bytes.numPy("|O", "(1,)", [0x80, 4, 0x2E]), "pickled Python objects"),
      (
        "records", Bytes.numPy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}"),
        "records"
      ),
      ("text", Bytes.numPy("<U3", "()", []), "'<U3' is not supported"),
      (
        "complex", Bytes.numPy("<c8", "()", Array(repeating: 0, count: 8)), "'<c8' is not supported"
      ),
      ("16-byte float", Bytes.numPy("<f16", "()", []), "'<f16' is not supported"),
      ("negative extent", Bytes.numPy("<f4", "(-1,)", []), "no tuple"),
      ("huge extent", Bytes.numPy("<f4", "(99999999999999999999,)", []), "no tuple"),
      ("huge product", Bytes.numPy("<f4", "(4294967296, 4294967296)", []), "too large"),
      ("call in the header", Bytes.numPy("{'shape': exit()}"), "'(' is missing"),
      ("no shape", Bytes.numPy("{'descr': '<f4', 'fortran_order': False}"), "is missing"),
      ("twice", Bytes.numPy("{'shape': (), 'shape': ()}"), "occurs twice"),
      ("order", Bytes.numPy("{'fortran_order': 1}"), "neither True nor False"),
      ("unclosed text", Bytes.numPy("{'descr"), "a string is not closed"),
      ("more after it", Bytes.numPy("{} x"), "something follows"),
      ("version", Bytes.numPy("{}", version: 9), "version 9.0 is unknown"),
      (
        "header length", [0x93] + Array("NUMPY".utf8) + [1, 0, 255, 255, 0x7B, 0x7D],
        "claims 65535 bytes"
      ),
      ("signature", Array("NUMPY 1.0 file".utf8), "does not begin as a NumPy array"),
      ("empty", [], "does not begin as a NumPy array"),
    ] as [(String, [UInt8], String)])
  func refuses(_ defect: String, _ file: [UInt8], _ expected: String) {
    let text = message { _ = try read(file) }
    #expect(text.contains(expected), "\(defect): \(text)")
  }

  @Test func anArchiveComesBack() throws {
    let arrays = [
      tensor("outputs", .f32, [2, 3]), tensor("inputs", .u8, [4, 1, 2]), tensor("é", .i64, []),
    ]
    let file = try NumPyArchive.fileBytes(arrays)
    #expect(try NumPyArchive.read(file) == arrays)
    #expect(try NumPyArchive.fileBytes(arrays) == file)
    #expect(try NumPyArchive.read(NumPyArchive.fileBytes([])) == [])
    for count in 0..<file.count {
      #expect(message { _ = try NumPyArchive.read(Array(file[..<count])) } != "")
    }
  }

  @Test func aTypeThatNumPyLacksIsNotWritten() {
    #expect(message { _ = try NumPyArray.fileBytes(tensor("a", .bf16, [2])) }.contains("BF16"))
  }
}
