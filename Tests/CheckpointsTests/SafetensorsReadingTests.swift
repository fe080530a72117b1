import Foundation
import TensorCore
import TestSupport
import Testing

@testable import Safetensors

@Suite struct SafetensorsReadingTests {
  private static func entry(_ dtype: String, _ shape: String, _ begin: Int, _ end: Int) -> String {
    #"{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":[\#(begin),\#(end)]}"#
  }

  private static let f32 = entry("F32", "[1]", 0, 4)

  @Test(
    arguments: [
      ("no length", [1, 2, 3], "the file has 3 bytes"),
      (
        "header longer than the limit", Bytes.safetensors("{}", claims: 100_000_001),
        "at most 100000000"
      ),
      ("length that is no Int", Bytes.safetensors("{}", claims: .max), "at most 100000000"),
      (
        "header longer than the file", Bytes.safetensors("{}", claims: 3),
        "claims 3 bytes, and 2 follow"
      ),
      ("empty header", Bytes.safetensors(""), "does not begin with '{'"),
      ("leading space", Bytes.safetensors(" {}"), "does not begin with '{'"),
      ("trailing newline", Bytes.safetensors("{}\n"), "other than spaces"),
      ("padded with NUL", Bytes.safetensors("{}\0\0"), "other than spaces"),
      ("unclosed", Bytes.safetensors(#"{"a":{}"#), "an object is not closed"),
      ("two documents", Bytes.safetensors("{}{}"), "something follows the end"),
      ("not UTF-8", [3, 0, 0, 0, 0, 0, 0, 0] + Array("{\"".utf8) + [0xFF], "other than spaces"),
      (
        "duplicate name", Bytes.safetensors(#"{"a":\#(f32),"a":\#(f32)}"#, payload: 4),
        "'a' occurs twice"
      ),
      ("entry is no object", Bytes.safetensors(#"{"a":1}"#), "it is no JSON object"),
      ("unknown field", Bytes.safetensors(#"{"a":{"dtype":"F32","x":1}}"#), "unknown field 'x'"),
      (
        "no dtype", Bytes.safetensors(#"{"a":{"shape":[],"data_offsets":[0,0]}}"#),
        "its dtype is no string"
      ),
      (
        "unknown dtype", Bytes.safetensors(#"{"a":\#(entry("F31", "[1]", 0, 4))}"#, payload: 4),
        "'F31' is unknown"
      ),
      (
        "negative extent", Bytes.safetensors(#"{"a":\#(entry("F32", "[-1]", 0, 4))}"#, payload: 4),
        "its shape"
      ),
      (
        "fractional extent",
        Bytes.safetensors(#"{"a":\#(entry("F32", "[1.0]", 0, 4))}"#, payload: 4), "its shape"
      ),
      (
        "extent beyond Int",
        Bytes.safetensors(#"{"a":\#(entry("F32", "[9223372036854775808]", 0, 4))}"#), "its shape"
      ),
      (
        "product beyond Int",
        Bytes.safetensors(#"{"a":\#(entry("F32", "[4294967296,4294967296]", 0, 0))}"#),
        "gives no whole number of bytes"
      ),
      (
        "half a byte", Bytes.safetensors(#"{"a":\#(entry("F4", "[3]", 0, 1))}"#, payload: 1),
        "no whole number of bytes"
      ),
      (
        "float offsets",
        Bytes.safetensors(
          #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0.0,1.0]}}"#, payload: 1),
        "no two whole numbers"
      ),
      (
        "three offsets",
        Bytes.safetensors(#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}"#, payload: 1),
        "no two whole numbers"
      ),
      (
        "offsets backwards", Bytes.safetensors(#"{"a":\#(entry("F32", "[1]", 4, 0))}"#, payload: 4),
        "lie outside"
      ),
      (
        "offsets beyond the file", Bytes.safetensors(#"{"a":\#(f32)}"#, payload: 3),
        "lie outside the data section of 3"
      ),
      (
        "shape and offsets disagree",
        Bytes.safetensors(#"{"a":\#(entry("F32", "[2]", 0, 4))}"#, payload: 4),
        "needs 8 bytes, and its data_offsets give 4"
      ),
      (
        "hole at the start", Bytes.safetensors(#"{"a":\#(entry("F32", "[1]", 4, 8))}"#, payload: 8),
        "a gap of 4 bytes"
      ),
      (
        "hole between tensors",
        Bytes.safetensors(#"{"a":\#(f32),"b":\#(entry("U8", "[1]", 5, 6))}"#, payload: 6), "'b'"
      ),
      (
        "overlap",
        Bytes.safetensors(#"{"a":\#(f32),"b":\#(entry("F32", "[1]", 2, 6))}"#, payload: 6),
        "overlaps that of 'a'"
      ),
      (
        "same place twice", Bytes.safetensors(#"{"a":\#(f32),"b":\#(f32)}"#, payload: 4),
        "overlaps that of"
      ),
      (
        "empty tensor inside another",
        Bytes.safetensors(#"{"a":\#(f32),"b":\#(entry("F32", "[0]", 2, 2))}"#, payload: 4),
        "overlaps that of 'a'"
      ),
      (
        "trailing bytes", Bytes.safetensors(#"{"a":\#(f32)}"#, payload: 6),
        "2 bytes follow the last tensor"
      ),
      ("data without tensors", Bytes.safetensors("{}", payload: 1), "1 bytes follow"),
      (
        "metadata is no object", Bytes.safetensors(#"{"__metadata__":[]}"#),
        "'__metadata__': is invalid"
      ),
      (
        "metadata is no text", Bytes.safetensors(#"{"__metadata__":{"a":1}}"#),
        "the value of 'a' is no string"
      ),
    ] as [(String, [UInt8], String)])
  func refuses(_ defect: String, _ file: [UInt8], _ expected: String) {
    let text = message { _ = try SafetensorsSet(path: "m.safetensors", parsing: file) }
    #expect(text.hasPrefix("m.safetensors: "), "\(defect)")
    #expect(text.contains(expected), "\(defect): \(text)")
  }

  @Test func acceptsWhatTheFormatAllows() throws {
    let empty = Self.entry("F32", "[0,3]", 4, 4)
    let scalar = Self.entry("I64", "[]", 4, 12)
    let header = #"{"b":\#(scalar),"__metadata__":{"k":"v"},"e":\#(empty),"a":\#(Self.f32)}   "#
    let shard = try SafetensorsSet.Shard(
      fileName: "m", parsing: Bytes.safetensors(header, payload: 12))
    #expect(shard.metadata == ["k": "v"])
    #expect(shard.tensors.map(\.name) == ["b", "e", "a"])
    #expect(shard.tensors.map(\.shape) == [[], [0, 3], [1]])
    #expect(try SafetensorsSet.Shard(fileName: "m", parsing: Bytes.safetensors("{}")).tensors == [])
  }

  @Test func everyTruncationIsRefused() throws {
    let file = SafetensorsSet.Shard(
      fileName: "m", metadata: ["format": "pt"],
      tensors: [tensor("a", .f32, [2, 3]), tensor("b", .u8, [5])]
    ).fileBytes()
    for count in 0..<file.count {
      #expect(message { _ = try SafetensorsSet(path: "m", parsing: Array(file[..<count])) } != "")
    }
  }

  @Test func everyDTypePassesThroughByteForByte() throws {
    let tensors = DType.allCases.map { tensor("t.\($0.rawValue)", $0, [2, 4]) }
    let shard = SafetensorsSet.Shard(fileName: "m", metadata: [:], tensors: tensors)
    let back = try SafetensorsSet.Shard(fileName: "m", parsing: shard.fileBytes())
    #expect(Set(back.tensors.map(\.name)) == Set(tensors.map(\.name)))
    for tensor in back.tensors { #expect(tensors.contains(tensor)) }
    #expect(back.fileBytes() == shard.fileBytes())
  }
}
