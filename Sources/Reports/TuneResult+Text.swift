import Basics
import Foundation
import Tuning

extension TuneResult {
  /// The epochs as a table, and where the checkpoint is.
  package var text: String {
    var lines = [
      "trained: \(trained) numbers; the network has \(parameters)",
      "memory: \(Format.bytes(memory.total)), "
        + memory.items.map { "\($0.name) \(Format.bytes($0.bytes))" }.joined(separator: ", "),
    ]
    guard let bytes, let bestEpoch else { return lines.joined(separator: "\n") }
    var table = TextTable([
      ("epoch", .right), ("minutes", .right), ("loss", .right), ("held out", .right), ("agreement", .right),
      ("accuracy", .right),
    ])
    for epoch in epochs {
      table.add([
        "\(epoch.number)\(epoch.number == bestEpoch ? " *" : "")", Format.number(epoch.seconds / 60),
        epoch.loss.map(Format.number) ?? "", Format.number(epoch.heldOutLoss),
        epoch.agreement.map(Format.percent) ?? "",
        (epoch.testAccuracy ?? epoch.heldOutAccuracy).map(Format.percent) ?? "",
      ])
    }
    lines.append(table.text)
    if let ending { lines.append("ended early: \(ending)") }
    lines.append("\(output): \(bytes) bytes, the state of epoch \(bestEpoch)")
    return lines.joined(separator: "\n")
  }
}
