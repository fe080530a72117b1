import ArgumentParser
import Devices
import Foundation
import Timing

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Time a checkpoint's network on this machine, and measure the machine with it.",
    discussion: """
      Times the network, then every operation of it and of its factored forms, one sample on one thread, and keeps what follows about \
      this machine as the device 'host'.
      """)

  @Argument(help: "A checkpoint with a graph.", completion: .file())
  var checkpoint: String

  @Option(help: ArgumentHelp("The samples that run together.", valueName: "n"))
  var batchSize = 64
  @Option(name: .customLong("batch"), help: .hidden) var oldBatch: Int?

  @Option(
    help: ArgumentHelp(
      "How often a batch runs, whose median counts; and how often one sample runs in each of five rounds.",
      valueName: "n"))
  var repetitions = 20

  @Option(
    help: ArgumentHelp("The shape of one sample, 1x224x224, where the model leaves it open.", valueName: "shape"))
  var inputShape: SampleShape?

  @Option(
    help: ArgumentHelp(
      "Compare with what the profile of this device predicts: a name, or a file.", valueName: "name|file"))
  var device: String?

  @Flag(help: "Time the network alone and write no profile.")
  var noProfile = false

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("Where the profile goes; the user's cache folder, as 'host', unless given.", valueName: "file"),
    completion: .file())
  var output: String?

  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard oldBatch ?? batchSize >= 1, repetitions >= 1 else {
      throw ValidationError("--batch-size and --repetitions must be at least 1")
    }
    if noProfile, output != nil { throw ValidationError("--no-profile and --output exclude each other") }
  }

  func run() throws {
    let bench = try common.run(
      BenchRequest(
        checkpoint: checkpoint, batch: oldBatch ?? batchSize, repetitions: repetitions,
        sampleShape: inputShape?.extents ?? [],
        profilePath: noProfile ? nil : try output ?? DeviceProfile.preparedHostPath(),
        comparedDevice: try device.map(DeviceProfile.named)))
    try common.show(bench.json, bench.text)
  }
}

/// The shape of one sample as an option states it: `1x224x224`.
struct SampleShape: ExpressibleByArgument {
  let extents: [Int]

  init?(argument: String) {
    let parts = argument.split(separator: "x", omittingEmptySubsequences: false)
    extents = parts.compactMap { Int($0) }
    guard extents.count == parts.count, extents.allSatisfy({ (1...1 << 20).contains($0) }) else { return nil }
  }
}
