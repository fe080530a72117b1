import ArgumentParser
import Foundation
import Pipeline

/// What a compressed network may cost.
struct LimitOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The bytes that the written file may have: 4MB, 4MiB, 500kB, 250000.", valueName: "size"))
  var budget: ByteSize?

  @Option(help: ArgumentHelp("The same as a part of the checkpoint's size: 60%.", valueName: "part"))
  var at: Percentage?

  @Option(
    help: ArgumentHelp("The smallest file whose loss is at most this, in place of the least loss.", valueName: "x"))
  var maxLoss: Double?

  @Option(help: ArgumentHelp("The multiply-accumulates for one sample: 12M.", valueName: "n"))
  var maxMacs: Count?

  @Option(help: ArgumentHelp("The bytes of activations that may be alive at once: 256kB.", valueName: "size"))
  var maxRam: ByteSize?

  @Option(help: ArgumentHelp("The time for one sample on the device: 30ms.", valueName: "time"))
  var maxLatency: Duration?

  @Option(
    help: ArgumentHelp(
      "Where the network is to run: a name (kcompress devices) or a profile. Its flash and RAM are limits where none are given.",
      valueName: "name|file"))
  var device: String?

  func validate() throws {
    if at != nil, budget != nil { throw ValidationError("--at and --budget exclude each other") }
    if at != nil, maxLoss != nil { throw ValidationError("--at and --max-loss exclude each other") }
    if let maxLoss, !(maxLoss >= 0 && maxLoss.isFinite) {
      throw ValidationError("--max-loss must be a number of at least 0, not \(maxLoss)")
    }
  }

  /// Whether anything is limited.
  var areSome: Bool {
    budget != nil || at != nil || maxLoss != nil || maxMacs != nil || maxRam != nil || maxLatency != nil
      || device != nil
  }

  var values: PlanDocument.Budget {
    PlanDocument.Budget(
      bytes: budget?.bytes, macs: maxMacs?.value, ram: maxRam?.bytes, latency: maxLatency?.seconds)
  }

  var goal: PlanRequest.Goal {
    at.map { .part($0.part) } ?? maxLoss.map { .smallest(maximumLoss: $0) } ?? .leastLoss
  }

  /// `30ms`, `1.5s`, `800us`
  struct Duration: ExpressibleByArgument {
    let seconds: Double

    init?(argument: String) {
      let units: [(suffix: String, factor: Double)] = [("us", 1e-6), ("ms", 1e-3), ("s", 1)]
      guard let unit = units.first(where: { argument.hasSuffix($0.suffix) }),
        let value = Double(argument.dropLast(unit.suffix.count).trimmingCharacters(in: .whitespaces)),
        value > 0, value.isFinite
      else { return nil }
      seconds = value * unit.factor
    }
  }

  /// `60%`
  struct Percentage: ExpressibleByArgument {
    let part: Double

    init?(argument: String) {
      guard argument.hasSuffix("%"), let value = Double(argument.dropLast()), value > 0, value <= 100 else {
        return nil
      }
      part = value / 100
    }
  }
}
