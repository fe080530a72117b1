import Foundation

extension PlanDocument.Budget {
  /// Every limit that there is.
  package var text: String {
    let limits = [
      bytes.map { "\($0) bytes" }, macs.map { "\(Format.count($0)) multiply-accumulates" },
      ram.map { "\(Format.bytes($0)) of activations" }, latency.map { Format.seconds($0) },
    ].compactMap(\.self)
    return limits.isEmpty ? "none" : limits.joined(separator: ", ")
  }
}

extension Infeasibility.Shortfall {
  /// `the smallest file that can be reached has 123 bytes`
  package var reached: String {
    guard let reachable else { return "nothing is left that keeps the other limits" }
    return switch limit {
    case .bytes: "the smallest file that can be reached has \(Int(reachable)) bytes"
    case .macs: "at least \(Int(reachable)) multiply-accumulates are left"
    case .latency: "at least \(Format.seconds(reachable)) are left"
    case .ram: "at least \(Int(reachable)) bytes of activations are alive at once"
    case .loss: "the least loss within the other limits is \(Format.number(reachable))"
    }
  }

  /// `10.0 kB`
  package var allowance: String {
    switch limit {
    case .bytes, .ram: Format.bytes(Int(allowed))
    case .macs: "\(Format.count(Int(allowed))) multiply-accumulates"
    case .latency: Format.seconds(allowed)
    case .loss: "a loss of \(Format.number(allowed))"
    }
  }

  /// The option that states the limit, with a value that could be kept.
  package var remedy: String? {
    guard let reachable else { return nil }
    return switch limit {
    case .bytes: "--budget to \(Int(reachable)) or more"
    case .macs: "--max-macs to \(Int(reachable)) or more"
    // A little more, for the rounding of the text.
    case .latency: "--max-latency to \(String(format: "%.4g", reachable * 1001))ms or more"
    case .ram: "--max-ram to \(Int(reachable)) or more"
    case .loss: "--max-loss to \(String(format: "%.4g", reachable * 1.001)) or more"
    }
  }
}
