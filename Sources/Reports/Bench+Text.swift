import Basics
import Foundation
import Timing

extension Bench {
  /// The times as a table, beside what a device predicts.
  package var text: String {
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
