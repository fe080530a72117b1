import Basics
import Foundation

/// Why no plan keeps all limits, and what would.
package struct Infeasibility: Sendable, Equatable {
  /// What can be limited.
  package enum Limit: Sendable, Equatable {
    case resource(Resource)
    case loss

    /// The limit's name in JSON.
    package var name: String {
      switch self {
      case .resource(let resource): resource.rawValue
      case .loss: "loss"
      }
    }
  }

  /// What one limit would have to be, the others as they are.
  package struct Shortfall: Sendable, Equatable {
    package let limit: Limit
    /// The limit in the unit of the resource, or in loss.
    package let allowed: Double
    /// The least that was found; nil where the others alone cannot be kept together.
    package let reachable: Double?

    package init(_ limit: Limit, allowed: Double, reachable: Double?) {
      self.limit = limit
      self.allowed = allowed
      self.reachable = reachable
    }
  }

  /// One for each limit that stands in the way.
  package let shortfalls: [Shortfall]
  /// The layers or tensors that hold it up, in quotes.
  package let heldUpBy: [String]

  package init(_ shortfalls: [Shortfall], heldUpBy: [String] = []) {
    self.shortfalls = shortfalls
    self.heldUpBy = heldUpBy
  }

  package var json: JSON {
    [
      "binding": .array(
        shortfalls.map {
          [
            "limit": .string($0.limit.name), "allowed": .real($0.allowed),
            "reachable": .optional($0.reachable, JSON.real),
          ]
        }),
      "smallest": .optional(shortfalls.first { $0.limit == .resource(.bytes) }?.reachable) { .integer(Int($0)) },
      "held_up_by": .strings(heldUpBy),
    ]
  }

  /// What cannot be kept, what can be reached, what holds it up and what would do.
  package var sentence: String {
    let reasons = shortfalls.map { "no plan fits \($0.allowance): \($0.reached)" }.joined(separator: "; ")
    let causes = heldUpBy.isEmpty ? "" : ", held up by " + heldUpBy.joined(separator: ", ")
    let remedies = shortfalls.compactMap(\.remedy)
    let advice = remedies.isEmpty ? "" : " (raise \(remedies.joined(separator: ", or ")))"
    return (reasons.isEmpty ? "no plan that keeps all limits together was found" : reasons) + causes + advice
  }
}

extension Infeasibility.Shortfall {
  /// `the smallest file that can be reached has 123 bytes`
  fileprivate var reached: String {
    guard let reachable else { return "nothing is left that keeps the other limits" }
    return switch limit {
    case .resource(.bytes): "the smallest file that can be reached has \(Int(reachable)) bytes"
    case .resource(.macs): "at least \(Int(reachable)) multiply-accumulates are left"
    case .resource(.latency): "at least \(Format.seconds(reachable)) are left"
    case .resource(.ram): "at least \(Int(reachable)) bytes of activations are alive at once"
    case .loss: "the least loss within the other limits is \(Format.number(reachable))"
    }
  }

  /// The limit in words: `10.0 kB`.
  fileprivate var allowance: String {
    switch limit {
    case .resource(.bytes), .resource(.ram): Format.bytes(Int(allowed))
    case .resource(.macs): "\(Format.count(Int(allowed))) multiply-accumulates"
    case .resource(.latency): Format.seconds(allowed)
    case .loss: "a loss of \(Format.number(allowed))"
    }
  }

  /// The option that states the limit, with a value that could be kept.
  fileprivate var remedy: String? {
    guard let reachable else { return nil }
    switch limit {
    case .resource(let resource):
      return "\(resource.option) to \(resource.optionValue(allowing: reachable)) or more"
    case .loss: return "--max-loss to \(String(format: "%.4g", reachable * 1.001)) or more"
    }
  }
}
