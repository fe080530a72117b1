import ArgumentParser
import Foundation
import Planning
import Plans

/// What a compressed network may cost: an option for every resource, and other ways to say it.
struct LimitOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The bytes that the written file may have: 4MB, 4MiB, 500kB, 250000.", valueName: "size"),
    transform: Resource.bytes.argument)
  var budget: Double?

  @Option(help: ArgumentHelp("The same as a part of the checkpoint's size: 60%.", valueName: "part"))
  var at: Percentage?

  @Option(
    help: ArgumentHelp("The smallest file whose loss is at most this, in place of the least loss.", valueName: "x"))
  var maxLoss: Double?

  @Option(
    help: ArgumentHelp("The multiply-accumulates for one sample: 12M.", valueName: "n"),
    transform: Resource.macs.argument)
  var maxMacs: Double?

  @Option(
    help: ArgumentHelp("The bytes of activations that may be alive at once: 256kB.", valueName: "size"),
    transform: Resource.ram.argument)
  var maxRam: Double?

  @Option(
    help: ArgumentHelp("The time for one sample on the device: 30ms.", valueName: "time"),
    transform: Resource.latency.argument)
  var maxLatency: Double?

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
  var areSome: Bool { !amounts.known.isEmpty || at != nil || maxLoss != nil || device != nil }

  /// The limits on resources that the options state.
  var amounts: Amounts {
    var amounts = Amounts()
    for resource in Resource.allCases {
      amounts[resource] =
        switch resource {
        case .bytes: budget
        case .macs: maxMacs
        case .ram: maxRam
        case .latency: maxLatency
        }
    }
    return amounts
  }

  var goal: PlanRequest.Goal {
    at.map { .part($0.part) } ?? maxLoss.map { .smallest(maximumLoss: $0) } ?? .leastLoss
  }

  /// A percentage as an option states it: `60%`.
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

extension Resource {
  /// Reads an option's value.
  ///
  /// - Throws: `ValidationError` for what is no positive amount in a unit of the resource.
  @Sendable func argument(_ text: String) throws -> Double {
    guard let amount = amount(parsing: text) else { throw ValidationError("a positive amount is expected") }
    return amount
  }
}
