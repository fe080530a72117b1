import ArgumentParser
import Basics
import Foundation
import Pipeline
import Planning

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
  var batch = 64

  @Option(help: ArgumentHelp("How often; the median counts.", valueName: "n"))
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
    guard batch >= 1, repetitions >= 1 else {
      throw ValidationError("--batch and --repetitions must be at least 1")
    }
    if noProfile, output != nil { throw ValidationError("--no-profile and --output exclude each other") }
  }

  func run() throws {
    let compared = try device.map(DeviceProfile.named)
    let path = noProfile ? nil : try output ?? DeviceProfile.preparedHostPath()
    if let path {
      try OutputSet([.init(path, option: "-o")]).check(inputs: [(checkpoint, "the checkpoint")], overwrite: true)
      try DeviceProfile.checkReplaceable(path)
    }
    let request = BenchRequest(
      checkpoint: checkpoint, batch: batch, repetitions: repetitions, sampleShape: inputShape?.extents ?? [],
      fitsProfile: path != nil)
    let bench = try common.terminal.withProgress { try Bench(request, workers: common.workers, progress: $0) }
    if let path, let profile = bench.profile {
      try OutputFile.write((profile.json.text(.indented) + "\n").utf8, to: path, overwrite: true)
    }
    common.terminal.result(
      bench.json(comparing: compared, profilePath: path), bench.text(comparing: compared, profilePath: path))
  }
}

extension Bench {
  fileprivate func text(comparing compared: DeviceProfile?, profilePath: String?) -> String {
    let device = compared ?? profile
    var lines = [
      "\(timing.checkpoint): \(Format.number(1000 * timing.median)) ms for \(timing.batch) samples with "
        + "\(timing.threads) threads, \(Format.count(Int(timing.samplesPerSecond))) samples per second"
    ]
    var table = TextTable([
      ("one sample on one thread", .left), ("MACs", .right), ("ms", .right),
      (device.map { "ms as '\($0.name)' predicts" } ?? "", .right),
    ])
    for network in networks {
      table.add([
        network.name, Format.count(network.macs), Format.number(1000 * network.latency),
        device.map { Format.number(1000 * network.predicted(on: $0)) } ?? "",
      ])
    }
    lines += ["", table.text]
    if let profilePath { lines += ["", "\(profilePath): the profile of this machine"] }
    return lines.joined(separator: "\n")
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
