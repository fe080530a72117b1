import Basics
import Formats
import Foundation
import Inference
import TestSupport
import Testing

/// What the program promises whatever the numbers are.
@Suite struct PromiseTests {
  /// Seeds are 64 bits wide, in options, plans and records.
  @Test(arguments: ["18446744073709551615", "9223372036854775808", "0"])
  func anySeedPlansAndApplies(_ seed: String) throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let plan = try workshop.run("plan", "digits.h5", "--budget", "120kB", "--seed", seed)
      #expect(plan.status == 0, "\(plan.errors)")
      #expect(String(decoding: try workshop.bytes("digits.plan.json"), as: UTF8.self).contains("\"seed\": \(seed)"))
      let apply = try workshop.run("apply", "digits.plan.json")
      #expect(apply.status == 0, "\(apply.errors)")
      let verify = try workshop.run("verify", "digits.compressed.h5", "--json")
      #expect(verify.status == 0 && verify.json?["verdict"] == "passed", "\(verify.errors)\(verify.output)")
    }
  }

  /// Labels alone say how good a network is, and not whether that is enough.
  @Test func whatNobodyJudgesIsMeasured() throws {
    try Workshop.with(["digits.h5", "digits.reference.npz"]) { workshop in
      let arrays = try DataFile.read(workshop.path("digits.reference.npz")).filter { $0.name != "outputs" }
      try #require(Set(arrays.map(\.name)) == ["inputs", "labels"])
      try DataFile.writeNumPyArchive(arrays, to: workshop.path("labels.npz"), overwrite: false)
      let measured = try workshop.run("verify", "digits.h5", "--reference", "labels.npz", "--json")
      #expect(measured.status == 0, "\(measured.errors)")
      #expect(measured.json?["verdict"] == "measured" && measured.json?["passed"]?.isNull == true)
      #expect(measured.json?["accuracy"]?.real.map { $0 > 0.9 } == true)
      let text = try workshop.run("verify", "digits.h5", "--reference", "labels.npz")
      #expect(text.output.contains("measured") && !text.output.contains("passed"), "\(text.output)")
      // Who says what is enough gets a verdict, and so does who gives outputs.
      let low = try workshop.run(
        "verify", "digits.h5", "--reference", "labels.npz", "--min-accuracy", "0.5", "--json")
      #expect(low.status == 0 && low.json?["verdict"] == "passed")
      let high = try workshop.run(
        "verify", "digits.h5", "--reference", "labels.npz", "--min-accuracy", "0.999", "--json")
      #expect(high.status == 1 && high.json?["verdict"] == "failed" && high.json?["passed"]?.bool == false)
      let judged = try workshop.run("verify", "digits.h5", "--reference", "digits.reference.npz", "--json")
      #expect(judged.json?["verdict"] == "passed" && judged.json?["passed"]?.bool == true)
    }
  }

  /// An entry of a plan that does not say what it should is an error, not a default.
  @Test(arguments: [
    (#""input_mean": [0.5]"#, #""input_mean": [0.5, "x"]"#, "input_mean"),
    (#""input_std": [0.25]"#, #""input_std": "0.25""#, "input_std"),
    (#""max_samples": 40"#, #""max_samples": "forty""#, "max_samples"),
    (#""max_samples": 40"#, #""max_sample": 40"#, "max_sample"),
  ])
  func malformedCalibrationIsRefused(_ text: String, _ other: String, _ word: String) throws {
    try Workshop.with(["digits.h5", "digits.calibration.npz"]) { workshop in
      let plan = try workshop.run(
        "plan", "digits.h5", "--budget", "120kB", "--structures", "svd", "--calibration", "digits.calibration.npz",
        "--input-mean", "0.5", "--input-std", "0.25", "--max-samples", "40")
      #expect(plan.status == 0, "\(plan.errors)")
      let document = String(decoding: try workshop.bytes("digits.plan.json"), as: UTF8.self)
      let compact = try JSON(parsing: Array(document.utf8)).text()
      let unspaced = { (text: String) in text.replacing(": ", with: ":").replacing(", ", with: ",") }
      let changed = unspaced(compact).replacing(unspaced(text), with: unspaced(other))
      try #require(changed != unspaced(compact), "\(compact)")
      try workshop.write(changed, to: "digits.plan.json")
      try workshop.expectFailure(["apply", "digits.plan.json"], status: 2, word)
    }
  }

  /// An edited option that plan itself would not take.
  @Test(arguments: [
    (#""dtype":null"#, #""dtype":"u8""#, "'dtype' is malformed: one of f16, bf16, f32"),
    (#""dtype":null"#, #""dtype":"bool""#, "'dtype' is malformed"),
    (#""dtype":null"#, #""dtype":"F8_E4M3""#, "'dtype' is malformed"),
    (#""dtype":null"#, #""dtype":"f64""#, "'dtype' is malformed"),
    (#""round_to":1"#, #""round_to":-3"#, "'round_to' is malformed: a whole number from 1 to 1024"),
    (#""round_to":1"#, #""round_to":0"#, "'round_to' is malformed"),
    (#""structures":["svd"]"#, #""structures":["bogus"]"#, "names the structure 'bogus'"),
    (#""device":null"#, #""device":"""#, "'device' is malformed"),
    (#""budget":{"bytes":120000"#, #""budget":{"bytes":-1"#, "'bytes' is malformed: a count"),
    (#""parameters":"#, #""parameters":-"#, "'parameters' is malformed: a count"),
    (#""parameters":"#, #""parameters":900000000000000"#, "'parameters' is malformed: a count"),
  ])
  func editedOptionsAreChecked(_ text: String, _ other: String, _ message: String) throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let plan = try workshop.run("plan", "digits.h5", "--budget", "120kB", "--structures", "svd")
      #expect(plan.status == 0, "\(plan.errors)")
      let document = try JSON(parsing: workshop.bytes("digits.plan.json")).text().replacing(": ", with: ":")
      try #require(document.contains(text), "\(document)")
      try workshop.write(document.replacing(text, with: other), to: "digits.plan.json")
      try workshop.expectFailure(["apply", "digits.plan.json"], status: 2, message)
    }
  }

  /// Results that nobody can read are no success.
  @Test func standardOutputThatIsFullIsAnError() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      for command in ["inspect digits.h5", "inspect digits.h5 --json", "devices", "verify digits.h5"] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "\"$0\" \(command) > /dev/full 2> errors", Program.path]
        process.currentDirectoryURL = URL(fileURLWithPath: workshop.folder)
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 2, "\(command)")
        let errors = String(decoding: try workshop.bytes("errors"), as: UTF8.self)
        #expect(errors.contains("standard output") && errors.contains("No space left on device"), "\(errors)")
      }
    }
  }

  /// Whatever is no regular file stays what it is.
  @Test func specialFilesAreNoOutputs() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      try #require(mkfifo(workshop.path("pipe"), 0o600) == 0)
      for path in ["pipe", "/dev/null"] {
        try workshop.expectFailure(
          ["plan", "digits.h5", "--budget", "120kB", "-o", path], status: 2, "a device, a pipe or a socket")
      }
      #expect(try workshop.run("plan", "digits.h5", "--budget", "120kB").status == 0)
      for path in ["pipe", "/dev/null"] {
        try workshop.expectFailure(
          ["apply", "digits.plan.json", "-o", path, "--overwrite"], status: 2, "a device, a pipe or a socket")
      }
      try workshop.expectFailure(["inspect", "pipe"], status: 2, "a device, a pipe or a socket")
    }
  }

  /// A plan does not take the place of what is no plan, whether it can be read or not.
  @Test func plansReplacePlansOnly() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      try workshop.write("notes", to: "notes.json")
      try workshop.expectFailure(
        ["plan", "digits.h5", "--budget", "120kB", "-o", "notes.json"], status: 2, "is no plan")
      #expect(try workshop.bytes("notes.json") == Array("notes".utf8))
    }
  }

  /// Nor that of another checkpoint's plan; a file is the same checkpoint where it lies in the same place or holds the same.
  @Test func plansReplacePlansOfTheirCheckpointOnly() throws {
    try Workshop.with(["digits.h5", "digits.safetensors"]) { workshop in
      let limits = ["--budget", "120kB", "--structures", "svd"]
      func plan(_ arguments: String...) throws -> Int32 {
        try Program.run(["plan"] + arguments + limits, in: workshop.folder).status
      }
      #expect(try plan("digits.h5") == 0)
      let before = try workshop.bytes("digits.plan.json")
      try workshop.expectFailure(
        ["plan", "digits.safetensors"] + limits, status: 2,
        "digits.plan.json: is not overwritten: it is the plan of another checkpoint, 'digits.h5' (choose another path with -o)"
      )
      #expect(try workshop.bytes("digits.plan.json") == before)
      #expect(try plan("digits.safetensors", "-o", "other.json") == 0)
      // Spelled otherwise, in another folder with the same content, and with other content in the same place.
      #expect(try plan("./digits.h5") == 0)
      try FileManager.default.createDirectory(atPath: workshop.path("a"), withIntermediateDirectories: false)
      try workshop.write(workshop.bytes("digits.h5"), to: "a/digits.h5")
      #expect(try plan("a/digits.h5", "-o", "digits.plan.json") == 0)
      try workshop.write(workshop.bytes("digits.safetensors"), to: "a/digits.h5")
      #expect(try plan("a/digits.h5", "-o", "digits.plan.json") == 0)
    }
  }
}

/// Training that diverges ends with status 1 and keeps the best that it had, whatever is trained.
@Suite struct DivergenceTests {
  @Test func characterModels() throws {
    try Workshop.with([]) { workshop in
      try workshop.write(String(repeating: "to be, or not to be, that is the question. ", count: 40), to: "text.txt")
      func train(_ more: String...) throws -> Program.Outcome {
        try Program.run(
          ["rnn", "train", "text.txt", "--steps", "20", "--batch-size", "8", "--json"] + more, in: workshop.folder)
      }
      let good = try train("--model", "2rnn", "--hidden", "8", "--epochs", "1", "-o", "good.safetensors")
      #expect(good.status == 0, "\(good.errors)")
      let bad = try train(
        "--from", "good.safetensors", "--epochs", "3", "--learning-rate", "1e38", "-o", "bad.safetensors")
      #expect(bad.status == 1, "\(bad.errors)")
      #expect(bad.json?["diverged"]?.bool == true && bad.json?["ending"]?.string?.contains("no number") == true)
      // A number that nothing recovers from.
      let high = try Program.run(
        [
          "rnn", "train", "text.txt", "--steps", "20", "--batch-size", "8", "--model", "mirnn", "--hidden", "8",
          "--epochs", "2", "--learning-rate", "1e6", "-o", "high.safetensors",
        ], in: workshop.folder)
      #expect(high.status == 1 && high.output.contains("of uniform guessing"), "\(high.output)\(high.errors)")
      #expect(high.output.split(whereSeparator: \.isWhitespace).allSatisfy { $0.count < 30 }, "\(high.output)")
    }
  }

  @Test func tuning() throws {
    try Workshop.with(["digits.h5", "digits.calibration.npz"]) { workshop in
      #expect(try workshop.run("plan", "digits.h5", "--budget", "60kB").status == 0)
      #expect(try workshop.run("apply", "digits.plan.json").status == 0)
      let outcome = try workshop.run(
        "tune", "digits.compressed.h5", "--data", "digits.calibration.npz", "--epochs", "3", "--optimizer", "descent",
        "--learning-rate", "1e20", "--schedule", "constant", "--clip", "0", "--json")
      #expect(outcome.status == 1, "\(outcome.errors)")
      #expect(outcome.json?["diverged"]?.bool == true)
      // What was best is in the file, and it is a network.
      #expect(try workshop.run("verify", "digits.compressed.tuned.h5").status != 2)
    }
  }
}
