import ArgumentParser
import Pipeline

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Time a checkpoint's network on this machine.")

  @Argument(help: "A checkpoint with a graph.", completion: .file())
  var checkpoint: String

  @Option(help: ArgumentHelp("The samples that run together.", valueName: "n"))
  var batch = 64

  @Option(help: ArgumentHelp("How often; the median counts.", valueName: "n"))
  var repetitions = 20

  @Option(
    help: ArgumentHelp("The shape of one sample, 1x224x224, where the model leaves it open.", valueName: "shape"))
  var inputShape: SampleShape?

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard batch >= 1, repetitions >= 1 else {
      throw ValidationError("--batch and --repetitions must be at least 1")
    }
  }

  func run() throws {
    let timing = try Timing(
      checkpoint: checkpoint, batch: batch, repetitions: repetitions, sampleShape: inputShape?.extents ?? [],
      workers: common.workers)
    common.terminal.result(
      timing.json,
      "\(checkpoint): \(Format.number(1000 * timing.median)) ms for \(batch) samples with \(timing.threads) threads, "
        + "\(Format.count(Int(timing.samplesPerSecond))) samples per second")
  }
}

/// `1x224x224`
struct SampleShape: ExpressibleByArgument {
  let extents: [Int]

  init?(argument: String) {
    let parts = argument.split(separator: "x", omittingEmptySubsequences: false)
    extents = parts.compactMap { Int($0) }
    guard extents.count == parts.count, extents.allSatisfy({ (1...1 << 20).contains($0) }) else { return nil }
  }
}
