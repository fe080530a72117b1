import Inference
import TestSupport
import Testing

@Suite struct RnnCommandTests {
  private static let text = String(repeating: "to be, or not to be, that is the question. ", count: 40)

  private static func train(_ shop: Workshop, _ more: String...) throws -> Program.Outcome {
    try Program.run(
      ["rnn", "train", "text.txt", "--hidden", "8", "--steps", "20", "--batch", "8", "-o", "m.safetensors"] + more,
      in: shop.folder)
  }

  @Test func trainsEvaluatesAndWrites() throws {
    try Workshop.with([]) { shop in
      try shop.write(Self.text, to: "text.txt")
      let trained = try Self.train(shop, "--model", "cprnn", "--rank", "4", "--epochs", "2", "--json")
      #expect(trained.status == 0, "\(trained.errors)")
      #expect(trained.json?["epochs"]?.array?.count == 2)
      let symbols = Set(Self.text.unicodeScalars).count + 1
      #expect(trained.json?["parameters"]?.integer == (2 * 8 + symbols) * 4 + 2 * symbols * 8 + 64 + 8 + symbols)
      let evaluated = try shop.run("rnn", "eval", "m.safetensors", "text.txt", "--steps", "20", "--json")
      #expect(evaluated.json?["bits_per_character"]?.real.map { $0 > 0 && $0 < 6 } == true)
      #expect(evaluated.json?["unknown"]?.integer == 0)
      let first = try shop.run("rnn", "sample", "m.safetensors", "--length", "50", "--seed", "3", "--json")
      let second = try shop.run("rnn", "sample", "m.safetensors", "--length", "50", "--seed", "3", "--json")
      #expect(first.output == second.output)
      #expect(first.json?["text"]?.string?.unicodeScalars.count == 50)
      let converted = try shop.run(
        "rnn", "convert", "m.safetensors", "--to", "2rnn", "-o", "second.safetensors", "--json")
      #expect(converted.json?["model"]?.string == "2rnn" && converted.json?["discrepancy"]?.isNull == true)
      // Exact: both say the same of the text.
      let same = try shop.run("rnn", "eval", "second.safetensors", "text.txt", "--steps", "20", "--json")
      let difference =
        (same.json?["bits_per_character"]?.real ?? .nan) - (evaluated.json?["bits_per_character"]?.real ?? .nan)
      #expect(abs(difference) <= 1e-5)
    }
  }

  @Test func budgetsArePrinted() throws {
    try Workshop.with([]) { shop in
      let outcome = try shop.run("rnn", "budget", "29500", "--json")
      let models = try #require(outcome.json?["models"]?.array)
      #expect(Set(models.compactMap { $0["model"]?.string }).count == 6)
      #expect(models.allSatisfy { ($0["parameters"]?.integer ?? .max) <= 29_500 })
      try shop.expectFailure(["rnn", "budget", "10"], status: 2, "allows no network")
      #expect(try shop.run("rnn", "budget", "100G").status == 64)
      #expect(try shop.run("rnn", "budget", "29500", "--test", "text.txt").status == 64)
    }
  }

  @Test func badInputIsOneSentence() throws {
    try Workshop.with(["digits.safetensors"]) { shop in
      try shop.write(Self.text, to: "text.txt")
      try shop.write("", to: "empty.txt")
      try shop.write("short", to: "short.txt")
      try shop.write([0xFF, 0xFE, 0x00], to: "binary.txt")
      let model = ["--model", "rnn", "--hidden", "4", "--epochs", "1", "-o", "x.safetensors"]
      try shop.expectFailure(
        ["rnn", "train", "empty.txt"] + model, status: 2, "empty.txt: cannot be used: it is empty")
      try shop.expectFailure(["rnn", "train", "short.txt"] + model, status: 2, "a segment predicts 50")
      try shop.expectFailure(["rnn", "train", "binary.txt"] + model, status: 2, "it is no text in UTF-8")
      try shop.expectFailure(["rnn", "eval", "digits.safetensors", "text.txt"], status: 2, "holds no character model")
      try shop.expectFailure(["rnn", "eval", "text.txt", "text.txt"], status: 2, "cannot be read")
      try shop.expectFailure(
        ["verify", "digits.safetensors", "--text", "text.txt"], status: 2, "it holds no character model")
      _ = try Self.train(shop, "--model", "rnn", "--epochs", "1")
      try shop.expectFailure(
        ["rnn", "train", "text.txt", "--model", "rnn", "--hidden", "8", "-o", "m.safetensors"], status: 2,
        "m.safetensors: is not overwritten")
      try shop.expectFailure(
        ["rnn", "convert", "m.safetensors", "--to", "cprnn", "-o", "y.safetensors"], status: 2, "a rnn has no such form"
      )
      for arguments in [
        ["--model", "cprnn", "--hidden", "4"], ["--model", "rnn", "--hidden", "4", "--rank", "2"], ["--hidden", "4"],
        ["--model", "rnn", "--hidden", "0"], ["--from", "m.safetensors", "--hidden", "4"],
      ] {
        let outcome = try Program.run(["rnn", "train", "text.txt", "-o", "z.safetensors"] + arguments, in: shop.folder)
        #expect(outcome.status == 64, "\(arguments)")
      }
    }
  }
}
