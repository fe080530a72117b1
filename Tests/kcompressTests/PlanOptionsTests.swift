import Basics
import Foundation
import Inference
import TestSupport
import Testing

/// Limits, goals and recipes, as the command line has them.
@Suite struct PlanOptionsTests {
  private static let quick = ["--structures", "svd,cp", "--quiet", "--json"]

  private func plan(_ workshop: Workshop, _ options: String...) throws -> JSON {
    let outcome = try Program.run(["plan", "digits.h5"] + options + Self.quick, in: workshop.folder)
    #expect(outcome.status == 0, "\(outcome.errors)")
    return try JSON(parsing: Array(outcome.output.utf8))
  }

  @Test func partOfTheSizeAndLargestLoss() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let part = try plan(workshop, "--at", "70%")
      let (bytes, original) = (part["predicted"]?["bytes"]?.integer, part["original"]?["bytes"]?.integer)
      #expect(try #require(bytes) * 10 <= 7 * #require(original))
      let loss = try #require(part["predicted"]?["loss"]?.real)
      let smallest = try plan(workshop, "--max-loss", "\(loss)")
      #expect(try #require(smallest["predicted"]?["loss"]?.real) <= loss)
      #expect(try #require(smallest["predicted"]?["bytes"]?.integer) <= #require(bytes))
      #expect(smallest["budget"]?["bytes"]?.isNull == true)
      try workshop.expectFailure(
        ["plan", "digits.h5", "--budget", "50kB", "--max-loss", "0.001", "--structures", "svd", "--quiet"], status: 1,
        "raise --max-loss to")
    }
  }

  @Test func frontierNeedsNoBudgetAndWritesNothing() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let frontier = try #require(try plan(workshop, "--frontier")["frontier"]?.array)
      #expect(frontier.count > 5 && frontier.allSatisfy { $0["bytes"]?.integer != nil && $0["knee"]?.bool != nil })
      #expect(!FileManager.default.fileExists(atPath: workshop.path("digits.plan.json")))
      let text = try workshop.run("plan", "digits.h5", "--frontier", "--structures", "svd,cp", "--quiet").output
      #expect(text.contains("loss, logarithmic") && text.contains("#"))
    }
  }

  @Test func everyLimitHasAMessage() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let few: [(options: [String], message: String)] = [
        (["--max-macs", "1k"], "multiply-accumulates are left"), (["--max-ram", "50"], "bytes of activations"),
        (["--device", "stm32l4r5", "--max-latency", "1us"], "raise --max-latency to"),
        (["--budget", "90kB", "--max-macs", "1k"], "raise --max-macs to"),
      ]
      for (options, message) in few {
        try workshop.expectFailure(
          ["plan", "digits.h5"] + options + ["--structures", "svd,cp", "--quiet"], status: 1, message)
      }
      try workshop.expectFailure(
        ["plan", "digits.h5", "--max-latency", "1ms", "--quiet"], status: 2, "no device says how fast it is")
      try workshop.expectFailure(
        ["plan", "digits.h5", "--device", "abacus", "--quiet"], status: 2, "abacus")
      for usage in [[], ["--at", "60"], ["--at", "60%", "--budget", "1MB"], ["--budget", "1MB", "--round-to", "0"]] {
        #expect(try Program.run(["plan", "digits.h5"] + usage, in: workshop.folder).status == 64, "\(usage)")
      }
    }
  }

  /// What the message says would do does.
  @Test func remediesHelp() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let options = ["plan", "digits.h5", "--device", "stm32l4r5", "--structures", "svd,cp", "--quiet"]
      let refusal = try Program.run(options + ["--max-latency", "1us"], in: workshop.folder)
      #expect(refusal.status == 1)
      let words = refusal.errors.split(separator: " ").map(String.init)
      let place = try #require(words.firstIndex(of: "--max-latency"))
      let time = words[place + 2]
      let outcome = try Program.run(options + ["--max-latency", time, "--json"], in: workshop.folder)
      #expect(outcome.status == 0, "\(outcome.errors)")
      let plan = try JSON(parsing: Array(outcome.output.utf8))
      #expect(try #require(plan["predicted"]?["latency"]?.real) <= #require(plan["budget"]?["latency"]?.real))
    }
  }

  @Test func recipesAndDifferences() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      try workshop.write(#"{"layers": [{"match": "*", "structures": ["svd"]}]}"#, to: "recipe.json")
      let free = try plan(workshop, "--budget", "90kB", "-o", "free.plan.json")
      let bound = try plan(workshop, "--budget", "90kB", "--recipe", "recipe.json", "-o", "bound.plan.json")
      let layers = try #require(bound["layers"]?.array)
      #expect(layers.allSatisfy { ["svd", "dense"].contains($0["structure"]?.string) })
      #expect(try #require(free["predicted"]?["loss"]?.real) <= #require(bound["predicted"]?["loss"]?.real))
      let outcome = try workshop.run("diff", "free.plan.json", "bound.plan.json", "--json")
      let difference = try JSON(parsing: Array(outcome.output.utf8))
      #expect(difference["layers"]?.array?.isEmpty == false)
      #expect(difference["predicted"]?["after"]?["bytes"] == bound["predicted"]?["bytes"])
      try workshop.write(#"{"layers": [{"match": "nothing*"}]}"#, to: "recipe.json")
      try workshop.expectFailure(
        ["plan", "digits.h5", "--budget", "90kB", "--recipe", "recipe.json"], status: 2, "matches no layer")
    }
  }

  @Test func strictRefusesWhatIsLeftOut() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      #expect(
        try Program.run(["plan", "digits.h5", "--budget", "90kB", "--strict"] + Self.quick, in: workshop.folder).status
          == 0)
      // A matrix of integers is no weight, one of numbers that no layer uses might be.
      let header = #"{"odd": {"dtype": "F32", "shape": [2, 2, 2, 2, 2, 2], "data_offsets": [0, 256]}}"#
      try workshop.write(BadInputTests.safetensors(header, payload: 256), to: "odd.safetensors")
      try workshop.expectFailure(
        ["plan", "odd.safetensors", "--budget", "1MB", "--strict", "--quiet"], status: 1, "'odd'")
    }
  }
}
