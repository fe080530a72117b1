import Basics
import Foundation
import Testing

@Suite struct TemporaryFolderTests {
  @Test func isPrivateAndGoesAway() throws {
    var seen: [String] = []
    for _ in 0..<2 {
      try TemporaryFolder.with { path in
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o700)
        #expect(FileManager.default.createFile(atPath: path + "/a", contents: Data([1])))
        seen.append(path)
      }
    }
    #expect(seen[0] != seen[1])
    #expect(seen.allSatisfy { !FileManager.default.fileExists(atPath: $0) })
  }

  @Test func goesAwayWhereTheWorkFails() {
    var path = ""
    #expect(throws: Failure.self) {
      try TemporaryFolder.with { folder in
        path = folder
        throw Failure("a", "b", "c")
      }
    }
    #expect(!path.isEmpty && !FileManager.default.fileExists(atPath: path))
  }
}
