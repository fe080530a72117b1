import Basics
import Foundation
import Inference
import TestSupport
import Testing

@Suite struct ExplainCommandTests {
  private static let structures = ["svd", "cp", "tucker", "tt", "gkpd", "tr", "sekron"]

  @Test func everyStructureBestFirst() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let layer = try Self.convolution(of: workshop)
      let explain = try workshop.run("explain", "digits.h5", layer, "--ratio", "4", "--json")
      #expect(explain.status == 0 && explain.errors.isEmpty, "\(explain.errors)")
      let document = try #require(explain.json)
      #expect(document["layer"]?.string == layer)
      let parameters = try #require(document["parameters"]?.integer)
      let limit = try #require(document["limit"]?.integer)
      #expect(limit == parameters / 4)
      let candidates = try #require(document["candidates"]?.array)
      #expect(Set(candidates.compactMap { $0["structure"]?.string }) == Set(Self.structures))
      let discrepancies = candidates.compactMap { $0["discrepancy"]?.real }
      #expect(discrepancies == discrepancies.sorted() && discrepancies.allSatisfy { $0 > 0 && $0 < 1 })
      for candidate in candidates {
        #expect(
          candidate.object?.keys.filter { !["macs_per_position", "output_discrepancy"].contains($0) } == [
            "structure", "shapes", "ranks", "parameters", "macs", "discrepancy", "stages",
          ])
        #expect(try #require(candidate["parameters"]?.integer) <= limit)
        #expect(try #require(candidate["macs"]?.integer) > 0)
        #expect(candidate["stages"]?.array?.isEmpty == false)
      }
    }
  }

  @Test func textHasATableAndAPicture() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let layer = try Self.convolution(of: workshop)
      let explain = try workshop.run(
        "explain", "digits.h5", layer, "--parameters", "1k", "--structures", "tt,gkpd", "--quiet")
      #expect(explain.status == 0 && explain.errors.isEmpty)
      #expect(explain.output.contains("tt") && explain.output.contains("gkpd") && explain.output.contains("###"))
      #expect(!explain.output.contains("sekron"))
    }
  }

  @Test func widthsShowWhatRoundingCosts() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let layer = try Self.convolution(of: workshop)
      let options = ["explain", "digits.h5", layer, "--structures", "svd", "--bits", "2,4,8"]
      let explain = try workshop.run(options + ["--json"])
      let document = try #require(explain.json)
      let rounded = try #require(document["rounded"]?.array)
      let parameters = try #require(document["parameters"]?.integer)
      let plain = try #require(document["candidates"]?.array?.first?["discrepancy"]?.real)
      #expect(rounded.compactMap { $0["bits"]?.integer } == [2, 4, 8, 2, 4, 8])
      let losses = rounded.compactMap { $0["discrepancy"]?.real }
      // Two bits more take a third of the error or less away, of the dense kernel; a candidate keeps its own.
      #expect(losses[1] < losses[0] && losses[2] < losses[1] / 4 && losses[2] > 0)
      #expect(losses[3] > losses[5] && losses[5] >= plain - 1e-6 && losses[5] < plain + losses[2] * 4)
      #expect(rounded[1]["bytes"]?.integer == (parameters * 4 + 7) / 8)
      let text = try workshop.run(options + ["--quiet"])
      #expect(text.output.contains("rounded to") && text.output.contains("8 bits"))
    }
  }

  @Test(arguments: [
    (["nowhere", "--ratio", "2"], "has no layer 'nowhere'"),
    (["*", "--parameters", "1G"], "cannot have 1000000000 parameters"),
    (["*", "--ratio", "1e9"], "cannot have 0 parameters"),
  ])
  func whatCannotBeExplained(_ arguments: [String], _ message: String) throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let layer = try Self.convolution(of: workshop)
      let named = arguments.map { $0 == "*" ? layer : $0 }
      try workshop.expectFailure(["explain", "digits.h5"] + named, status: 2, message)
    }
  }

  @Test(arguments: [
    ["--ratio", "1"], ["--ratio", "nan"], ["--ratio", "2", "--parameters", "9"], ["--structures", "qr"],
    ["--bits", "9"],
  ])
  func wrongUsage(_ options: [String]) throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let outcome = try Program.run(["explain", "digits.h5", "conv"] + options, in: workshop.folder)
      #expect(outcome.status == 64 && outcome.output.isEmpty, "\(outcome.errors)")
    }
  }

  /// The convolution with the most parameters.
  private static func convolution(of workshop: Workshop) throws -> String {
    let layers = try #require(try workshop.run("inspect", "digits.h5", "--json").json?["layers"]?.array)
    let kernels = layers.filter { ($0["shape"]?.array?.count ?? 0) == 4 }
    func size(_ layer: JSON) -> Int {
      (layer["shape"]?.array ?? []).reduce(1) { $0 * ($1.integer ?? 0) }
    }
    let largest = try #require(kernels.max { size($0) < size($1) })
    return try #require(largest["name"]?.string)
  }
}
