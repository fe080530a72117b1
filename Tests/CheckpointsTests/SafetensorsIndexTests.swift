import Basics
import Checkpoints
import Formats
import Foundation
import Hashing
import TensorCore
import TestSupport
import Testing

@testable import Safetensors

@Suite struct SafetensorsIndexTests {
  private static let shards = [
    SafetensorsSet.Shard(
      fileName: "m-00001-of-00002.safetensors", metadata: ["format": "pt"],
      tensors: [tensor("a.weight", .f32, [4, 3]), tensor("a.bias", .f32, [4])]),
    SafetensorsSet.Shard(
      fileName: "m-00002-of-00002.safetensors", metadata: ["format": "pt"],
      tensors: [tensor("b.weight", .f16, [2, 4])]),
  ]

  /// Opens a set of the two shards above with this index text.
  private func open(_ index: String) throws -> Checkpoint {
    try withTemporaryFolder { folder in
      for shard in Self.shards {
        try Data(shard.fileBytes()).write(to: URL(fileURLWithPath: "\(folder)/\(shard.fileName)"))
      }
      let path = "\(folder)/m.safetensors.index.json"
      try Data(index.utf8).write(to: URL(fileURLWithPath: path))
      return try Checkpoint.open(path)
    }
  }

  private static func index(
    _ places: [(String, String)] = [
      ("a.bias", shards[0].fileName), ("a.weight", shards[0].fileName),
      ("b.weight", shards[1].fileName),
    ], totalSize: String = "80"
  ) -> String {
    let map = JSON.object(JSONObject(places.map { ($0, JSON.string($1)) })).text()
    return #"{"metadata":{"total_size":\#(totalSize)},"weight_map":\#(map)}"#
  }

  @Test func readsEveryTensorFromItsShard() throws {
    let checkpoint = try open(Self.index())
    #expect(checkpoint.tensors.map(\.name).sorted() == ["a.bias", "a.weight", "b.weight"])
    #expect(checkpoint.layers.map(\.name).sorted() == ["a", "b"])
    #expect(checkpoint.notices == [])
    let files = Self.shards.map { $0.fileBytes() }
    let whole = Array(Self.index().utf8) + files[0] + files[1]
    #expect(checkpoint.byteCount == whole.count)
    #expect(checkpoint.sha256 == SHA256.hexadecimal(of: whole))
  }

  @Test func aWrongTotalIsANotice() throws {
    let notices = try open(Self.index(totalSize: "81")).notices
    #expect(notices.count == 1)
    #expect(notices.first?.contains("81 bytes") == true)
  }

  @Test(arguments: [
    ("no weight_map", "{}", "no object 'weight_map'"),
    ("no JSON", "{", "is no valid JSON"),
    ("empty", index([]), "'weight_map' is empty"),
    ("file is no text", #"{"weight_map":{"a":1}}"#, "the file of 'a' is no string"),
    ("parent folder", index([("a", "../m.safetensors")]), "leads out of the index's folder"),
    ("absolute path", index([("a", "/m.safetensors")]), "leads out of the index's folder"),
    ("backslash", index([("a", "x\\m")]), "leads out of the index's folder"),
    ("dots", index([("a", "..")]), "leads out of the index's folder"),
    ("no name", index([("a", "")]), "leads out of the index's folder"),
    ("total is no number", index(totalSize: "\"80\""), "'total_size' is no whole number"),
    ("negative total", index(totalSize: "-1"), "'total_size' is no whole number"),
    ("file is absent", index([("a", "none.safetensors")]), "no such file"),
    (
      "unlisted tensor",
      index([("a.weight", shards[0].fileName), ("b.weight", shards[1].fileName)]),
      "tensor 'a.bias': contradicts the index: the index does not list it"
    ),
    (
      "tensor in another shard",
      index([
        ("a.bias", shards[1].fileName), ("a.weight", shards[0].fileName),
        ("b.weight", shards[1].fileName),
      ]),
      "tensor 'a.bias': is missing: the index places it in 'm-00002-of-00002.safetensors'"
    ),
    (
      "missing tensor",
      index([
        ("a.bias", shards[0].fileName), ("a.weight", shards[0].fileName),
        ("c", shards[0].fileName),
      ]),
      "tensor 'c': is missing"
    ),
  ])
  func refuses(_ defect: String, _ index: String, _ expected: String) {
    let text = message { _ = try open(index) }
    #expect(text.contains(expected), "\(defect): \(text)")
  }

  @Test func writesShardsNamedAfterTheIndex() throws {
    let checkpoint = try open(Self.index(totalSize: "7"))
    try withTemporaryFolder { folder in
      let path = "\(folder)/small.safetensors.index.json"
      try checkpoint.write(replacing: [], record: ["r": 1], to: path, overwrite: false)
      let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
      #expect(
        names == [
          "small-00001-of-00002.safetensors", "small-00002-of-00002.safetensors",
          "small.safetensors.index.json",
        ])
      let back = try Checkpoint.open(path)
      #expect(back.notices == [])
      #expect(back.record == ["r": 1])
      #expect(Set(back.tensors.map(\.name)) == Set(checkpoint.tensors.map(\.name)))
      for tensor in back.tensors { #expect(checkpoint.tensors.contains(tensor)) }
      #expect(
        try checkpoint.byteCount(replacing: [], record: ["r": 1], at: path) == back.byteCount)
      let text = message {
        try checkpoint.write(
          replacing: [], record: nil, to: "\(folder)/x.safetensors", overwrite: false)
      }
      #expect(text.contains("let the name end in '.safetensors.index.json'"))
    }
  }
}
