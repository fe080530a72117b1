import Basics
import Compression
import Foundation
import Planning
import Plans
import TestSupport
import Testing

@testable import Reports

/// The three forms of a report say the same, and what they say is what was written.
@Suite struct ApplyReportTests {
  private func result(in folder: String) throws -> ApplyResult {
    try FileManager.default.copyItem(atPath: TestPath.fixture("digits.h5"), toPath: folder + "/digits.h5")
    let plan = folder + "/digits.plan.json"
    _ = try PlanRequest(
      checkpoint: folder + "/digits.h5", budget: [.bytes: 100_000], recipe: Recipe(structures: ["svd", "cp"]),
      output: plan
    ).run()
    return try ApplyRequest(plan: plan).run()
  }

  @Test func theFormsAgree() throws {
    try withTemporaryFolder { folder in
      let result = try result(in: folder)
      let report = ApplyReport(result)
      try report.write(overwrite: false)
      let texts = try result.reports.all.map { String(decoding: try InputFile.read($0), as: UTF8.self) }
      #expect(texts.count == 3)
      let size = try InputFile.read(result.output).count
      #expect(result.bytes == size)
      for text in texts {
        #expect(text.contains("\(size)") && text.contains(result.sha256))
        for layer in result.plan.layers { #expect(text.contains(layer.name)) }
      }
      let json = try #require(try result.reports.all.first { $0.hasSuffix(".json") }.map(InputFile.read))
      let document = try JSON(parsing: json)
      #expect(try #require(document["plan"].map { try PlanDocument(json: $0) }) == result.plan)
      #expect(document["result"]?["bytes"]?.integer == size)
      // A report that is there is somebody's.
      #expect(throws: Failure.self) { try report.write(overwrite: false) }
      try report.write(overwrite: true)
    }
  }

  /// Every resource of a frontier has a column where it is known, and none where it is not.
  @Test func frontiersShowEveryResource() {
    let resources = PlanDocument.alternatives
    func heading(_ amounts: Amounts) -> String {
      String(FrontierText([.init(.init(amounts, loss: 0.5), isKnee: false)]).text.prefix { $0 != "\n" })
    }
    var all: Amounts = [.bytes: 1000]
    for resource in resources { all[resource] = 2e6 }
    for resource in resources {
      #expect(heading(all).contains(resource.heading) && !heading([.bytes: 1000]).contains(resource.heading))
    }
  }

  @Test func tablesHaveARowForEachLayer() throws {
    try withTemporaryFolder { folder in
      let result = try result(in: folder)
      #expect(ApplyReport(result).layerTable.rows.map { $0[0] } == result.plan.layers.map(\.name))
    }
  }
}
