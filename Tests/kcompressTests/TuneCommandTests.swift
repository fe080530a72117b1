import Foundation
import Inference
import TestSupport
import Testing

/// tune and rosa as a user runs them.
@Suite struct TuneCommandTests {
  private static let fixtures = ["digits.h5", "digits.calibration.npz", "digits.reference.npz"]

  @Test func tunesWhatApplyWrote() throws {
    try Workshop.with(Self.fixtures) { workshop in
      #expect(try workshop.run("plan", "digits.h5", "--budget", "70kB").status == 0)
      #expect(try workshop.run("apply", "digits.plan.json").status == 0)
      let tune = try workshop.run(
        "tune", "digits.compressed.h5", "--data", "digits.calibration.npz", "--test", "digits.reference.npz",
        "--epochs", "4",
        "--batch", "32", "--json")
      #expect(tune.status == 0, "\(tune.errors)")
      let result = try #require(tune.json)
      let epochs = try #require(result["epochs"]?.array)
      #expect(epochs.count == 5 && epochs.allSatisfy { $0["test_accuracy"]?.real != nil })
      let best = try #require(result["best_epoch"]?.integer)
      #expect(best > 0)
      #expect(try workshop.bytes("digits.compressed.tuned.h5").count == workshop.bytes("digits.compressed.h5").count)
      #expect(try workshop.run("verify", "digits.compressed.tuned.h5").status == 0)
      #expect(try !workshop.files.contains { $0.hasSuffix(".tuning") })
      try workshop.expectFailure(
        ["tune", "digits.compressed.h5", "--data", "digits.calibration.npz"], status: 2, "--overwrite")
      try workshop.expectFailure(
        ["tune", "digits.compressed.h5", "--data", "digits.calibration.npz", "-o", "new.h5", "--resume"], status: 2,
        "--resume")
    }
  }

  /// A run is killed after an epoch; the one that goes on finds the disk full.
  @Test func aFullDiskLeavesTheLastGoodState() throws {
    try Workshop.with(Self.fixtures) { workshop in
      #expect(try workshop.run("plan", "digits.h5", "--budget", "70kB").status == 0)
      #expect(try workshop.run("apply", "digits.plan.json").status == 0)
      let arguments = [
        "tune", "digits.compressed.h5", "--data", "digits.calibration.npz", "--epochs", "500", "--batch", "32",
        "--quiet",
      ]
      let state = "digits.compressed.tuned.h5.tuning"
      let process = Process()
      process.executableURL = URL(fileURLWithPath: Program.path)
      process.arguments = arguments
      process.currentDirectoryURL = URL(fileURLWithPath: workshop.folder)
      (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
      try process.run()
      while process.isRunning, try !workshop.files.contains(state) { usleep(2000) }
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      let good = try workshop.bytes(state)
      // What the killed run may have begun to write stays behind.
      let before = try workshop.files
      let outcome = try Program.run(arguments + ["--resume"], in: workshop.folder, fileLimit: 16)
      #expect(outcome.status == 2)
      #expect(outcome.errors.hasPrefix("kcompress: ") && outcome.errors.contains(state), "\(outcome.errors)")
      #expect(try workshop.bytes(state) == good)
      #expect(try workshop.files == before)
    }
  }

  @Test func refusesWhatDoesNotFit() throws {
    try Workshop.with(Self.fixtures) { workshop in
      let tune = ["tune", "digits.h5", "-o", "out.h5", "--data"]
      try workshop.expectFailure(tune + ["digits.calibration.npz"], status: 2, "--labels")
      try workshop.expectFailure(tune + ["digits.h5"], status: 2, "has no samples")
      try workshop.expectFailure(
        tune + ["digits.reference.npz", "--labels", "--method", "factors"], status: 2, "--method full")
      for options in [
        ["--views", "3"], ["--views", "3", "--augment", "crop", "--features", "1"], ["--label-part", "0.1"],
        ["--rank", "3"], ["--draw-every", "3"], ["--method", "lora", "--draw", "top"],
      ] {
        let outcome = try Program.run(["tune", "digits.h5", "--data", "x.npz"] + options, in: workshop.folder)
        #expect(outcome.status == 64, "\(options)")
      }
      // Older names are other words for the same.
      for words in [["--optimizer", "sgd", "--augment", "mixup"], ["--optimizer", "descent", "--augment", "mix"]] {
        let outcome = try Program.run(
          ["tune", "digits.h5", "--data", "digits.reference.npz", "--labels", "--dry-run"] + words, in: workshop.folder)
        #expect(outcome.status == 0, "\(outcome.errors)")
      }
      #expect(try workshop.run("tune", "digits.h5", "--data", "x.npz", "--rate", "0").status == 64)
      #expect(try workshop.run("tune", "digits.h5", "--data", "x.npz", "--augment", "turn").status == 64)
      #expect(try workshop.run("tune", "digits.h5", "--data", "x.npz", "--rank", "1.5").status == 64)
    }
  }

  @Test func splitsDrawsAndMerges() throws {
    try Workshop.with(["digits.h5"]) { workshop in
      let split = try workshop.run("rosa", "split", "digits.h5", "--rank", "0.25", "--adapter", "adapter", "--json")
      #expect(split.status == 0, "\(split.errors)")
      let factors = try #require(split.json?["factors"]?.string)
      #expect(try workshop.files.contains("adapter"))
      #expect(
        try workshop.run("rosa", "draw", "digits.frozen.h5", "--factors", factors, "--seed", "4", "-o", "again.h5")
          .status == 0)
      #expect(
        try workshop.run("rosa", "merge", "again.h5", "--factors", "again.factors.safetensors", "-o", "merged.h5")
          .status == 0)
      let verify = try workshop.run("verify", "merged.h5", "--original", "digits.h5")
      #expect(verify.status == 0, "\(verify.output)")
      try workshop.expectFailure(
        ["rosa", "merge", "again.h5", "--factors", factors, "-o", "m.h5"], status: 2, "does not belong")
    }
  }
}
