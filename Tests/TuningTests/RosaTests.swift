import Basics
import Checkpoints
import Foundation
import Running
import TestSupport
import Testing
import Training

@testable import Tuning

@Suite struct RosaTests {
  @Test(arguments: Draw.allCases, ["digits.h5", "digits.safetensors"])
  func splitDrawAndMergeKeepTheNetwork(_ draw: Draw, _ fixture: String) throws {
    try withTemporaryFolder { folder in
      let suffix = (fixture as NSString).pathExtension
      let path = TestPath.fixture(fixture)
      let first = try RosaRequest(
        checkpoint: path, ranks: [RankRule(amount: 2)], draw: draw, output: folder + "/frozen." + suffix
      ).run()
      let second = try RosaRequest(
        checkpoint: first.output, factors: first.factors, ranks: [], draw: draw, seed: 9,
        output: folder + "/again." + suffix
      ).run()
      #expect(first.layers.map(\.rank) == second.layers.map(\.rank))
      let merged = try RosaMergeRequest(
        frozen: second.output, factors: try #require(second.factors), output: folder + "/merged." + suffix
      ).run()
      let (before, after) = (try Checkpoint.open(path), try Checkpoint.open(merged.output))
      let frozen = try Checkpoint.open(first.output)
      for layer in before.layers where layer.refusal == nil {
        let (a, b) = (try before.kernel(of: layer), try after.kernel(of: layer))
        // Two splits and merges, each rounding a sum of the kernel's size.
        let size = a.elements.map(abs).max() ?? 0
        #expect(zip(a.elements, b.elements).allSatisfy { abs($0 - $1) <= 8 * 0x1p-23 * size * 4 })
        #expect(try frozen.kernel(of: layer).relativeDiscrepancy(from: a) > 1e-3)
      }
    }
  }

  @Test func factorsOfAnotherCheckpointAreRefused() throws {
    try withTemporaryFolder { folder in
      let result = try RosaRequest(
        checkpoint: TestPath.fixture("digits.h5"), ranks: [RankRule(amount: 1)], draw: .top,
        output: folder + "/frozen.h5"
      ).run(threads: 1)
      let factors = try #require(result.factors)
      #expect {
        try RosaMergeRequest(frozen: TestPath.fixture("digits.h5"), factors: factors, output: folder + "/m.h5").run()
      } throws: { "\($0)".contains("does not belong") }
      #expect(throws: Failure.self) {
        try RosaMergeRequest(frozen: result.output, factors: result.output, output: folder + "/m.h5").run()
      }
    }
  }

  /// The frozen checkpoint, its factors and the adapter are there as a whole or not at all.
  @Test func nothingIsLeftWhereOneOutputCannotBeWritten() throws {
    try withTemporaryFolder { folder in
      let files = FileManager.default
      func all() throws -> [String] { try files.subpathsOfDirectory(atPath: folder).sorted() }
      func refusal(_ adapter: String) throws -> String {
        let before = try all()
        let failure = #expect(throws: Failure.self) {
          try RosaRequest(
            checkpoint: TestPath.fixture("digits.h5"), ranks: [RankRule(amount: 1)], draw: .top,
            output: folder + "/frozen.h5", adapter: folder + adapter
          ).run(threads: 1)
        }
        #expect(try all() == before)
        return failure?.description ?? ""
      }
      try files.createDirectory(atPath: folder + "/full", withIntermediateDirectories: false)
      try OutputFile.write("mine".utf8, to: folder + "/full/adapter_config.json", overwrite: false)
      #expect(try refusal("/full").contains("choose another path with --adapter"))
      try #require(mkfifo(folder + "/pipe", 0o600) == 0)
      #expect(try refusal("/pipe").contains("give the path of a folder with --adapter"))
      #expect(try refusal("/full/adapter_config.json").contains("it is a file"))
      // Folders that were made for the adapter go away with it.
      try files.createDirectory(atPath: folder + "/frozen.h5", withIntermediateDirectories: false)
      #expect(try refusal("/a/b").contains("with -o"))
    }
  }

  @Test func adaptersTakeTheirPlaceWithTheRest() throws {
    try withTemporaryFolder { folder in
      func split() throws -> RosaResult {
        try RosaRequest(
          checkpoint: TestPath.fixture("digits.h5"), ranks: [RankRule(amount: 1)], draw: .top,
          output: folder + "/frozen.h5", adapter: folder + "/a/b", overwrite: true
        ).run(threads: 1)
      }
      let files = [
        "a", "a/b", "a/b/adapter_config.json", "a/b/adapter_model.safetensors", "frozen.factors.safetensors",
        "frozen.h5",
      ]
      for _ in 0..<2 {
        _ = try split()
        #expect(try FileManager.default.subpathsOfDirectory(atPath: folder).sorted() == files)
      }
    }
  }

  @Test func ranksAreCountsOrParts() {
    #expect(RankRule(amount: 0.25).rank(side: 16) == 4)
    #expect(RankRule(amount: 0.01).rank(side: 16) == 1)
    #expect(RankRule(amount: 40).rank(side: 16) == 16)
  }
}
