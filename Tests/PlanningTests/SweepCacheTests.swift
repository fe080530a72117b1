import Basics
import Formats
import Foundation
import Plans
import Running
import TestSupport
import Testing

@testable import Planning

@Suite struct SweepCacheTests {
  private func choices(_ request: PlanRequest) throws -> [LayerChoices] {
    let checkpoint = try CheckpointSource(path: request.checkpoint, companions: request.companions).open()
    return try LayerSweep(checkpoint, request, nil, workers: Workers(count: 2)).choices(progress: .silent)
  }

  /// What comes out of the cache is what went in, for every layer.
  @Test func keepsWhatASweepFound() throws {
    try withTemporaryFolder { folder in
      let path = TestPath.fixture("digits.safetensors")
      let request = PlanRequest(checkpoint: path, budget: [:], recipe: Recipe(structures: ["svd", "cp"]))
      let checkpoint = try CheckpointSource(path: path).open()
      let cache = try SweepCache(folder: folder + "/cache", checkpoint, request)
      for choice in try choices(request) {
        #expect(cache.choices(of: choice.layer) == nil)
        cache.keep(choice)
        let found = try #require(cache.choices(of: choice.layer))
        #expect(found.refusal == choice.refusal && found.leftOut == choice.leftOut)
        #expect(found.candidates.map(\.ranks) == choice.candidates.map(\.ranks))
        #expect(found.candidates.map(\.discrepancy) == choice.candidates.map(\.discrepancy))
        #expect(found.candidates.map(\.stages) == choice.candidates.map(\.stages))
      }
    }
  }

  /// Whatever a sweep depends on makes another entry of it.
  @Test func everyInputOfASweepCounts() throws {
    try withTemporaryFolder { folder in
      let path = TestPath.fixture("digits.safetensors")
      let request = PlanRequest(checkpoint: path, budget: [:], recipe: Recipe(structures: ["svd"]))
      let checkpoint = try CheckpointSource(path: path).open()
      let known = try #require(try choices(request).first { !$0.candidates.isEmpty })
      try SweepCache(folder: folder, checkpoint, request).keep(known)
      func isKnown(_ change: (inout PlanRequest) -> Void) throws -> Bool {
        var other = request
        change(&other)
        return try SweepCache(folder: folder, checkpoint, other).choices(of: known.layer) != nil
      }
      #expect(try isKnown { _ in })
      // The budget is no part of a sweep.
      #expect(try isKnown { $0.budget = [.bytes: 1000] })
      #expect(try !isKnown { $0.seed = 1 })
      #expect(try !isKnown { $0.rankMultiple = 4 })
      #expect(try !isKnown { $0.dtype = .f16 })
      #expect(try !isKnown { $0.recipe = Recipe(structures: ["cp"]) })
    }
  }

  @Test func aDamagedEntryIsNone() throws {
    try withTemporaryFolder { folder in
      let path = TestPath.fixture("digits.safetensors")
      let request = PlanRequest(checkpoint: path, budget: [:], recipe: Recipe(structures: ["svd"]))
      let cache = try SweepCache(folder: folder, try CheckpointSource(path: path).open(), request)
      let known = try #require(try choices(request).first { !$0.candidates.isEmpty })
      cache.keep(known)
      let file = folder + "/" + (try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first))
      let text = String(decoding: try InputFile.read(file), as: UTF8.self)
      for damaged in [
        "", "{", text.replacing("\"ranks\"", with: "\"rank\""), text.replacing("\"svd\"", with: "\"magic\""),
      ] {
        try OutputFile.write(damaged.utf8, to: file, overwrite: true)
        #expect(cache.choices(of: known.layer) == nil)
      }
    }
  }
}
