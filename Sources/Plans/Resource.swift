import Basics
import Foundation

/// What a compressed network takes and a budget may limit.
///
/// A new resource is one case here. The compiler then asks for its unit, option and texts in this file, for the sentences of
/// `Infeasibility` and of the plan's summary, for what a network and a layer's stages take of it in `NetworkCosts`, and for its
/// option in `LimitOptions`. The frontier's table and the report follow.
package enum Resource: String, CaseIterable, Sendable {
  /// The bytes of the written file.
  case bytes
  /// Multiply-accumulates for one sample.
  case macs
  /// The bytes of activations that are alive at once, for one sample.
  case ram
  /// Seconds on the device, for one sample.
  case latency

  /// How the parts of a network add up.
  package enum Kind: Sendable {
    /// What the layers take is added: the solver trades one layer for another.
    case sum
    /// The network takes what its largest layer takes: a limit takes forms away from layers, one by one.
    case peak
  }

  package var kind: Kind {
    switch self {
    case .bytes, .macs, .latency: .sum
    case .ram: .peak
    }
  }

  /// The resources that add up over layers, in the order of the solver's costs; the file's bytes come first.
  package static let sums = allCases.filter { $0.kind == .sum }

  /// The place of the resource among the solver's costs; nil where it does not add up.
  package var lane: Int? { Self.sums.firstIndex(of: self) }

  /// Whether amounts are whole numbers.
  package var isCount: Bool {
    switch self {
    case .bytes, .macs, .ram: true
    case .latency: false
    }
  }

  /// Whether only a device says how much of it a network takes.
  package var needsDevice: Bool {
    switch self {
    case .latency: true
    case .bytes, .macs, .ram: false
    }
  }

  /// The command-line option that limits the resource.
  package var option: String {
    switch self {
    case .bytes: "--budget"
    case .macs: "--max-macs"
    case .ram: "--max-ram"
    case .latency: "--max-latency"
    }
  }

  /// What a summary calls the amount.
  ///
  /// - Parameter device: the name of the device that times are for.
  package func title(device: String?) -> String {
    switch self {
    case .bytes: "file"
    case .macs: "multiply-accumulates"
    case .ram: "activations alive at once"
    case .latency: "time on \(device ?? "the device")"
    }
  }

  /// The heading of its column in a table.
  package var heading: String {
    switch self {
    case .bytes: "bytes"
    case .macs: "MACs"
    case .ram: "RAM"
    case .latency: "time"
    }
  }

  /// What a note calls the resource.
  package var noun: String {
    switch self {
    case .bytes: "bytes"
    case .macs: "multiply-accumulates"
    case .ram: "RAM"
    case .latency: "time"
    }
  }

  /// An amount as people read it: `12.5 M`, `1.23 MB`, `12.3 ms`; the file's bytes as they are.
  package func text(_ amount: Double) -> String {
    switch self {
    case .bytes: "\(Int(amount))"
    case .macs: Format.count(Int(amount))
    case .ram: Format.bytes(Int(amount))
    case .latency: Format.seconds(amount)
    }
  }

  /// What the network takes now, with what it took before: `6.2 M, 50.0 % of 12.4 M`.
  package func text(_ amount: Double, before: Double) -> String {
    switch self {
    case .macs: "\(text(amount)), \(Format.percent(amount / max(1, before))) of \(text(before))"
    case .bytes, .ram, .latency: "\(text(amount)), \(text(before)) before"
    }
  }

  /// The least value of the option that allows an amount.
  package func optionValue(allowing amount: Double) -> String {
    switch self {
    case .bytes, .macs, .ram: "\(Int(amount))"
    // A little more time, for the rounding of the text.
    case .latency: String(format: "%.4g", amount * 1001) + "ms"
    }
  }

  /// An amount with its noun, as a list of limits names it: `12.5 M multiply-accumulates`.
  package func phrase(_ amount: Double) -> String {
    switch self {
    case .bytes: "\(text(amount)) bytes"
    case .macs: "\(text(amount)) multiply-accumulates"
    case .ram: "\(text(amount)) of activations"
    case .latency: text(amount)
    }
  }

  /// What a summary calls a step that a shadow price is told for, and its size: 10 kB, 1 M multiply-accumulates, 1 ms.
  package var step: (amount: Double, text: String)? {
    switch self {
    case .bytes: (1e4, "10 kB")
    case .macs: (1e6, "1 M multiply-accumulates")
    case .latency: (1e-3, "1 ms")
    case .ram: nil
    }
  }
}

extension Resource {
  /// Reads an amount as a user writes it: `4MB`, `4MiB`, `500kB` and `250000` for bytes, `12M` for counts, `30ms` for times.
  ///
  /// - Returns: nil for anything but a positive amount in a unit of the resource.
  package func amount(parsing text: String) -> Double? {
    switch self {
    case .bytes, .ram: Self.bytes(text.lowercased())
    case .macs: Self.scaled(text, [("k", 1e3), ("K", 1e3), ("M", 1e6), ("G", 1e9), ("", 1)]).flatMap(Self.whole)
    case .latency: Self.scaled(text, [("us", 1e-6), ("ms", 1e-3), ("s", 1)])
    }
  }

  private static func bytes(_ text: String) -> Double? {
    let units: [(suffix: String, factor: Double)] = [
      ("kib", 1024), ("mib", 1_048_576), ("gib", 1_073_741_824),
      ("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("b", 1), ("k", 1e3), ("m", 1e6), ("g", 1e9), ("", 1),
    ]
    return scaled(text, units).flatMap(whole)
  }

  /// A positive number in front of the first unit that the text ends with.
  private static func scaled(_ text: String, _ units: [(suffix: String, factor: Double)]) -> Double? {
    guard let unit = units.first(where: { text.hasSuffix($0.suffix) }) else { return nil }
    let digits = text.dropLast(unit.suffix.count).trimmingCharacters(in: .whitespaces)
    guard digits.allSatisfy({ $0.isNumber || ".e+-".contains($0) }), let value = Double(digits), value > 0,
      value.isFinite
    else { return nil }
    return value * unit.factor
  }

  /// A count of at least 1 that sums of counts can hold.
  private static func whole(_ value: Double) -> Double? {
    value >= 1 && value < 1e15 ? value.rounded(.down) : nil
  }
}
