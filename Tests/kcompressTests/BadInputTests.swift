import Basics
import Foundation
import Inference
import TestSupport
import Testing

/// Everything that is wrong gives one sentence and the right exit status, and leaves nothing behind.
@Suite struct BadInputTests {
  @Test(arguments: [1, 7, 100, 5000, 200_000])
  func truncatedKerasFile(_ count: Int) throws {
    try Workshop.with(["digits.h5"]) { workshop in
      try workshop.write(Array(workshop.bytes("digits.h5").prefix(count)), to: "cut.h5")
      try workshop.expectFailure(["plan", "cut.h5", "--budget", "100kB"], status: 2, "cut.h5: ")
    }
  }

  @Test func textFileWithAnotherName() throws {
    try Workshop.with([]) { workshop in
      try workshop.write("This is no network.\n", to: "model.h5")
      try workshop.expectFailure(["inspect", "model.h5"], status: 2, "model.h5: ")
      try workshop.write("", to: "empty.h5")
      try workshop.expectFailure(["inspect", "empty.h5"], status: 2, "empty.h5: ")
    }
  }

  @Test func missingFile() throws {
    try Workshop.with([]) { workshop in
      try workshop.expectFailure(["inspect", "none.h5"], status: 2, "none.h5: cannot be read: no such file")
    }
  }

  @Test(arguments: [
    ("length beyond the file", safetensors(#"{}"#, length: 1 << 40), "header"),
    (
      "overlap",
      safetensors(
        #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
        payload: 12), "overlap"
    ),
    ("hole", safetensors(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, payload: 8), "gap"),
    ("missing offsets", safetensors(#"{"a":{"dtype":"F32","shape":[1]}}"#, payload: 4), "data_offsets"),
    (
      "duplicate name",
      safetensors(
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        payload: 4), "twice"
    ),
    (
      "shape that disagrees", safetensors(#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,4]}}"#, payload: 4), "'a'"
    ),
  ])
  func brokenSafetensors(_ defect: String, _ file: [UInt8], _ message: String) throws {
    try Workshop.with([]) { workshop in
      try workshop.write(file, to: "model.safetensors")
      try workshop.expectFailure(["inspect", "model.safetensors"], status: 2, message)
    }
  }

  static func safetensors(_ header: String, length: Int? = nil, payload: Int = 0) -> [UInt8] {
    let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    let count = UInt64(length ?? padded.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } + Array(padded.utf8)
      + [UInt8](repeating: 0, count: payload)
  }

  @Test(arguments: [Float.nan, .infinity])
  func kernelThatIsNotFinite(_ value: Float) throws {
    try Workshop.with([]) { workshop in
      let count = 16 * 16 * 9
      var file = Self.safetensors(
        #"{"conv.weight":{"dtype":"F32","shape":[16,16,3,3],"data_offsets":[0,\#(4 * count)]}}"#, payload: 4 * count)
      let bits = value.bitPattern
      for i in 0..<4 { file[file.count - 4 + i] = UInt8(truncatingIfNeeded: bits >> (8 * UInt32(i))) }
      try workshop.write(file, to: "model.safetensors")
      try workshop.expectFailure(
        ["plan", "model.safetensors", "--budget", "5kB"], status: 2,
        "tensor 'conv.weight' cannot be compressed: it holds \(value.isNaN ? "a NaN" : "an infinity")")
    }
  }

  @Test func planForAnotherCheckpoint() throws {
    try Workshop.with(["digits.safetensors"]) { workshop in
      #expect(try workshop.run("plan", "digits.safetensors", "--budget", "95kB").status == 0)
      var bytes = try workshop.bytes("digits.safetensors")
      bytes[bytes.count - 1] ^= 1
      try workshop.write(bytes, to: "digits.safetensors")
      try workshop.expectFailure(
        ["apply", "digits.plan.json"], status: 2, "does not belong to 'digits.safetensors'")
    }
  }

  @Test(arguments: [
    (#""checkpoint""#, #""checkpint": 1, "checkpoint""#, "unknown key 'checkpint'"),
    (#""seed": 0"#, #""seed": 0, "more": 2"#, "unknown key 'more'"),
    (#""lower_bound""#, #""lower""#, "'lower_bound'"),
    (#""kcompress.plan/1""#, #""kcompress.plan/9""#, "schema"),
    (#""structure": "cp""#, #""structure": "magic""#, "magic"),
    (#""bytes": 95000"#, #""bytes": 9500"#, "the plan's budget is 9500"),
    ("{", "[", "JSON"),
  ])
  func planThatIsDamaged(_ old: String, _ new: String, _ message: String) throws {
    try Workshop.with(["digits.safetensors"]) { workshop in
      #expect(
        try workshop.run("plan", "digits.safetensors", "--budget", "95kB", "--structures", "cp").status == 0)
      let plan = String(decoding: try workshop.bytes("digits.plan.json"), as: UTF8.self)
      #expect(plan.contains(old))
      let range = try #require(plan.range(of: old))
      try workshop.write(plan.replacingCharacters(in: range, with: new), to: "digits.plan.json")
      try workshop.expectFailure(["apply", "digits.plan.json"], status: 2, message)
    }
  }

  @Test func budgetThatCannotBeMet() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      try workshop.expectFailure(
        ["plan", "digits.h5", "--budget", "10kB", "--quiet"], status: 1, "the smallest file that can be reached has")
      let errors = try workshop.run("plan", "digits.h5", "--budget", "10kB").errors
      let words = errors.split(separator: " ")
      let position = try #require(words.firstIndex(of: "bytes,"))
      let smallest = try #require(Int(words[position - 1]))
      #expect(try workshop.run("plan", "digits.h5", "--budget", "\(smallest)").status == 0)
      try workshop.expectFailure(
        ["plan", "digits.h5", "--budget", "\(smallest - 1)", "-o", "other.json", "--quiet"], status: 1,
        "\(smallest) bytes")
      #expect(try workshop.run("apply", "digits.plan.json").status == 0)
      #expect(try workshop.bytes("digits.compressed.h5").count == smallest)
    }
  }

  @Test func referenceThatDoesNotFit() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 5, 5, 1), }"
      let padded = header + String(repeating: " ", count: 118 - 1 - header.utf8.count) + "\n"
      try workshop.write(
        [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0] + Array(padded.utf8) + [UInt8](repeating: 0, count: 200),
        to: "wrong.npy")
      try workshop.expectFailure(
        ["verify", "digits.h5", "--reference", "wrong.npy"], status: 2, "does not fit input 'image'")
    }
  }

  @Test func outputThatExists() throws {
    try Workshop.with(["digits.safetensors"]) { workshop in
      #expect(try workshop.run("plan", "digits.safetensors", "--budget", "95kB").status == 0)
      for name in ["digits.compressed.safetensors", "digits.report.md"] {
        try workshop.write("mine", to: name)
        try workshop.expectFailure(["apply", "digits.plan.json"], status: 2, "\(name): is not overwritten")
        #expect(try workshop.bytes(name) == Array("mine".utf8))
        try FileManager.default.removeItem(atPath: workshop.path(name))
      }
      #expect(try workshop.run("apply", "digits.plan.json").status == 0)
      #expect(try workshop.run("apply", "digits.plan.json").status == 2)
      #expect(try workshop.run("apply", "digits.plan.json", "--overwrite").status == 0)
    }
  }

  @Test func folderThatCannotBeWritten() throws {
    try Workshop.with(["digits.safetensors"]) { workshop in
      try workshop.expectFailure(
        ["plan", "digits.safetensors", "--budget", "95kB", "-o", "none/plan.json"], status: 2,
        "none/plan.json: cannot be written: the folder 'none' does not exist")
      #expect(try workshop.run("plan", "digits.safetensors", "--budget", "95kB").status == 0)
      try workshop.expectFailure(
        ["apply", "digits.plan.json", "-o", "/proc/out.safetensors"], status: 2,
        "/proc/out.safetensors: cannot be written")
    }
  }

  @Test(arguments: [
    ["plan", "digits.h5"], ["plan", "digits.h5", "--budget", "much"], ["plan", "digits.h5", "--budget", "0"],
    ["plan", "digits.h5", "--budget", "1MB", "--structures", "magic"], ["compress"],
    ["inspect", "digits.h5", "--threads", "0"],
  ])
  func wrongUsage(_ arguments: [String]) throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let outcome = try Program.run(arguments, in: workshop.folder)
      #expect(outcome.status == 64)
      #expect(outcome.output.isEmpty && !outcome.errors.isEmpty)
    }
  }
}
