import Basics
import Decompositions
import Formats
import Planning
import TensorCore

/// What the user asks `plan` for.
package struct PlanRequest: Sendable {
  /// What the plan is for.
  package enum Goal: Sendable, Equatable {
    /// The least loss within the limits.
    case leastLoss
    /// The least loss in a file of this part of the checkpoint's bytes.
    case part(Double)
    /// The smallest file whose loss is at most this.
    case smallest(maximumLoss: Double)
  }

  /// As the user gave it.
  package var checkpoint: String
  package var goal = Goal.leastLoss
  /// What the compressed network may cost.
  package var budget: PlanDocument.Budget
  /// Where the network is to run; its flash and RAM are limits where the budget states none.
  package var device: DeviceProfile?
  /// What is asked of single layers, and which structures there are to try.
  package var recipe: Recipe
  package var seed: UInt64
  package var companions: Companions
  /// The type in which the file stores numbers; nil keeps each tensor's own.
  package var dtype: DType?
  /// Samples of what the network will see; nil plans in the norm of the weights.
  package var calibration: CalibrationSource?
  /// Ranks above 1 are multiples of this.
  package var rankMultiple: Int
  /// The folder that keeps what sweeps found, for the next plan of the same network; nil keeps nothing.
  package var cache: String?

  /// The structures that there are.
  package static var knownStructures: [String] { Structures.all.map(\.name) }

  package init(
    checkpoint: String, budget: PlanDocument.Budget, recipe: Recipe = Recipe(), seed: UInt64 = 0,
    companions: Companions = Companions(), dtype: DType? = nil, calibration: CalibrationSource? = nil,
    rankMultiple: Int = 1, cache: String? = nil
  ) {
    self.checkpoint = checkpoint
    self.budget = budget
    self.recipe = recipe
    self.seed = seed
    self.companions = companions
    self.dtype = dtype
    self.calibration = calibration
    self.rankMultiple = rankMultiple
    self.cache = cache
  }

  /// The budget, with what the device holds where it states nothing.
  var limits: PlanDocument.Budget {
    var limits = budget
    limits.bytes = limits.bytes ?? device?.flash
    limits.ram = limits.ram ?? device?.ram
    return limits
  }
}

/// What `plan` found: a plan, or the proof that none keeps all limits.
package enum PlanOutcome: Sendable {
  case plan(PlanDocument)
  case infeasible(Infeasibility)
}

/// Why no plan keeps all limits, and what would.
package struct Infeasibility: Sendable, Equatable {
  /// What one limit would have to be, the others as they are.
  package struct Shortfall: Sendable, Equatable {
    package enum Limit: String, Sendable, CaseIterable {
      case bytes, macs, latency, ram, loss
    }

    package let limit: Limit
    /// In bytes, multiply-accumulates, seconds or loss.
    package let allowed: Double
    /// The least that was found; nil where the others alone cannot be kept together.
    package let reachable: Double?
  }

  /// One for each limit that stands in the way.
  package let shortfalls: [Shortfall]
  /// The layers or tensors that hold it up.
  package let heldUpBy: [String]

  package var json: JSON {
    [
      "binding": .array(
        shortfalls.map {
          [
            "limit": .string($0.limit.rawValue), "allowed": .real($0.allowed),
            "reachable": .optional($0.reachable, JSON.real),
          ]
        }),
      "smallest": .optional(shortfalls.first { $0.limit == .bytes }?.reachable) { .integer(Int($0)) },
      "held_up_by": .strings(heldUpBy),
    ]
  }
}
