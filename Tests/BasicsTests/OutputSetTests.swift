import Foundation
import TestSupport
import Testing

@testable import Basics

@Suite struct OutputSetTests {
  private func refusal(
    _ targets: [String], inputs: [(path: String, role: String)] = [], overwrite: Bool = true
  ) -> String {
    do {
      try OutputSet(targets.map { .init($0, option: "--out") }).check(inputs: inputs, overwrite: overwrite)
      return ""
    } catch { return "\(error)" }
  }

  @Test func noFileTakesAnothersPlace() throws {
    try withTemporaryFolder { folder in
      let (input, output) = (folder + "/in.h5", folder + "/out.h5")
      try OutputFile.write([1], to: input, overwrite: false)
      #expect(refusal([output], inputs: [(input, "the checkpoint")]).isEmpty)
      #expect(refusal([input], inputs: [(input, "the checkpoint")]).contains("it is the checkpoint"))
      #expect(refusal([output, output]).contains("another file that is written (choose another path with --out)"))
      // However a path is spelled, and whatever link leads to it.
      #expect(refusal([folder + "/./in.h5"], inputs: [(input, "the checkpoint")]).contains("the checkpoint"))
      let link = folder + "/link.h5"
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: input)
      #expect(refusal([link], inputs: [(input, "the checkpoint")]).contains("the checkpoint"))
      #expect(refusal([output, folder + "/nowhere/x"]).contains("the folder '\(folder)/nowhere' does not exist"))
    }
  }

  @Test func whatExistsIsReplacedOnRequestOnly() throws {
    try withTemporaryFolder { folder in
      let output = folder + "/out.h5"
      try OutputFile.write([1], to: output, overwrite: false)
      #expect(refusal([output], overwrite: false).contains("exists already"))
      #expect(refusal([output], overwrite: true).isEmpty)
    }
  }
}

/// What is no file of ours stays what it is, even where files may be overwritten.
@Suite struct SpecialFileTests {
  private func expectRefused(_ path: String, _ word: String, location: SourceLocation = #_sourceLocation) {
    let write = #expect(throws: Failure.self, sourceLocation: location) {
      try OutputFile.write([1, 2, 3], to: path, overwrite: true)
    }
    #expect(write?.description.contains(word) == true, "\(write?.description ?? "")", sourceLocation: location)
    #expect(throws: Failure.self, sourceLocation: location) {
      _ = try OutputFile.checkReplaceable(path, as: "plan", schema: "kcompress.plan/")
    }
  }

  @Test func pipesAndDevices() throws {
    try withTemporaryFolder { folder in
      let pipe = folder + "/pipe"
      try #require(mkfifo(pipe, 0o600) == 0)
      for path in [pipe, "/dev/null", "/dev/full"] {
        expectRefused(path, "a device, a pipe or a socket")
        // A pipe without a writer would never end, and /dev/zero neither.
        let read = #expect(throws: Failure.self) { try InputFile.read(path) }
        #expect(read?.description.contains("a device, a pipe or a socket") == true)
        #expect(FileKind(path) == .special)
      }
    }
  }

  @Test func linksThatLeadNowhere() throws {
    try withTemporaryFolder { folder in
      let link = folder + "/link"
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: folder + "/nothing")
      expectRefused(link, "a link to something that does not exist")
      #expect(FileKind(link) == .brokenLink && FileKind(folder + "/nothing") == nil)
    }
  }

  /// The folder is ours, the file is not ours to write.
  @Test(.enabled(if: geteuid() != 0, "root may write everything"))
  func filesThatWeMayNotWrite() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/theirs"
      try OutputFile.write([1], to: path, overwrite: false)
      try #require(chmod(path, 0o444) == 0)
      expectRefused(path, "may not write")
      #expect(try InputFile.read(path) == [1])
    }
  }

  @Test func onlyDocumentsOfTheKindAreReplacedUnasked() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/m.plan.json"
      func check() throws { _ = try OutputFile.checkReplaceable(path, as: "plan", schema: "kcompress.plan/") }
      try check()
      try OutputFile.write(#"{"schema": "kcompress.plan/1"}"#.utf8, to: path, overwrite: true)
      try check()
      for text in ["", "notes", #"{"schema": "kcompress.record/1"}"#, #"{"schema": 1}"#] {
        try OutputFile.write(text.utf8, to: path, overwrite: true)
        #expect(throws: Failure.self, "\(text)") { try check() }
      }
    }
  }
}
