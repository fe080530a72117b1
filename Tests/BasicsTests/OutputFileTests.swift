import Foundation
import TestSupport
import Testing

@testable import Basics

@Suite struct OutputFileTests {
  private func names(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }

  private func text(_ path: String) throws -> String {
    String(decoding: try InputFile.read(path), as: UTF8.self)
  }

  private func writeSet(_ paths: [String], _ contents: String, overwrite: Bool) throws {
    try OutputFile.replaceSet(paths, overwrite: overwrite) { temporaries in
      for path in temporaries {
        try OutputFile.create(path, describedAs: path, Data(contents.utf8))
      }
    }
  }

  @Test func writesASetAndReplacesItOnRequestOnly() throws {
    try withTemporaryFolder { folder in
      let paths = ["a", "b", "index"].map { folder + "/" + $0 }
      try writeSet(paths, "old", overwrite: false)
      #expect(throws: Failure.self) { try writeSet(paths, "new", overwrite: false) }
      #expect(try paths.map(text) == ["old", "old", "old"])
      try writeSet(paths, "new", overwrite: true)
      #expect(try paths.map(text) == ["new", "new", "new"])
      #expect(try names(folder) == ["a", "b", "index"])
    }
  }

  /// A writer that knows its own files: they take their place with others, or none does.
  @Test func stagedFilesTakeTheirPlaceWithOthers() throws {
    try withTemporaryFolder { folder in
      func write(overwrite: Bool) throws {
        try OutputFile.staging(folder + "/model") { staged in
          for path in [staged + ".part", staged] { try OutputFile.write([1, 2], to: path, overwrite: false) }
          try OutputFile.writeSet(
            [(target: .init(folder + "/other", option: "--other"), bytes: [3])], staged: staged,
            as: .init(folder + "/model", option: "-o"), overwrite: overwrite)
        }
      }
      try write(overwrite: false)
      #expect(try names(folder) == ["model", "model.part", "other"])
      #expect(try InputFile.read(folder + "/model") == [1, 2] && InputFile.read(folder + "/other") == [3])
      try FileManager.default.removeItem(atPath: folder + "/model")
      let failure = #expect(throws: Failure.self) { try write(overwrite: false) }
      #expect(failure?.description.contains("--other") == true)
      #expect(try names(folder) == ["model.part", "other"])
      try write(overwrite: true)
      #expect(try names(folder) == ["model", "model.part", "other"])
    }
  }

  /// A message names the path that the user knows.
  @Test func failuresOfStagedFilesNameThePathThatIsMeant() throws {
    try withTemporaryFolder { folder in
      let failure = #expect(throws: Failure.self) {
        try OutputFile.staging(folder + "/model") { throw Failure($0, "cannot be written", "the disk is full") }
      }
      #expect(failure == Failure(folder + "/model", "cannot be written", "the disk is full"))
      let left = try names(folder)
      #expect(left == [])
    }
  }

  @Test func leavesNothingBehindWhenWritingFails() throws {
    struct Stop: Error {}
    try withTemporaryFolder { folder in
      let paths = [folder + "/a", folder + "/index"]
      #expect(throws: Stop.self) {
        try OutputFile.replaceSet(paths, overwrite: false) { temporaries in
          try OutputFile.create(temporaries[0], describedAs: paths[0], Data([1]))
          throw Stop()
        }
      }
      let left = try names(folder)
      #expect(left == [])
    }
  }

  @Test func restoresWhatWasThereWhenARenameFails() throws {
    try withTemporaryFolder { folder in
      let paths = ["a", "b", "index"].map { folder + "/" + $0 }
      try OutputFile.write(Array("old".utf8), to: paths[0], overwrite: false)
      // The index was never written, so its rename fails after the other two are done.
      #expect(throws: Failure.self) {
        try OutputFile.replaceSet(paths, overwrite: true) { temporaries in
          for path in temporaries.dropLast() {
            try OutputFile.create(path, describedAs: path, Data("new".utf8))
          }
        }
      }
      #expect(try names(folder) == ["a"])
      #expect(try text(paths[0]) == "old")
    }
  }

  @Test func namesWhatIsWrongWithATarget() throws {
    try withTemporaryFolder { folder in
      #expect { try OutputFile.check(folder, overwrite: true) } throws: {
        "\($0)".contains("it is a folder")
      }
      #expect { try OutputFile.check(folder + "/none/x", overwrite: true) } throws: {
        "\($0)".contains("does not exist")
      }
      #expect { try InputFile.read(folder + "/none") } throws: { "\($0)".contains("no such file") }
    }
  }

  @Test func aFailureIsOneSentence() {
    let failure = Failure("layer 'a'", "cannot be read", "it is empty", remedy: "give it weights")
    #expect("\(failure)" == "layer 'a': cannot be read: it is empty (give it weights)")
    #expect("\(failure.within("m.h5"))".hasPrefix("m.h5: layer 'a': cannot be read"))
    #expect(failure.within("m.h5").within("m.h5") == failure.within("m.h5"))
  }

  @Test(arguments: [
    ("p", ""), ("/", "/"), ("/p", "/"), ("a/p", "a"), ("a/b/", "a"), ("name.h5", ""), ("é", ""), ("", ""),
  ])
  func foldersOfPaths(_ path: String, _ folder: String) {
    #expect(path.folderPath == folder)
  }

  @Test func aNameOfOneCharacterIsAName() throws {
    #expect(throws: Never.self) { try OutputFile.check("q", overwrite: true) }
  }
}
