import Basics
import Devices
import Formats
import Plans
import Running
import TensorCore

/// What the user asks `plan` for.
package struct PlanRequest: Job {
  /// What the plan is for.
  package enum Goal: Sendable, Equatable {
    /// The least loss within the limits.
    case leastLoss
    /// The least loss in a file of this part of the checkpoint's bytes.
    case part(Double)
    /// The smallest file whose loss is at most this.
    case smallest(maximumLoss: Double)
  }

  /// The checkpoint's path as the user gave it.
  package var checkpoint: String
  package var goal = Goal.leastLoss
  /// What the compressed network may cost.
  package var budget: Amounts
  /// Where the network is to run; its flash and RAM are limits where the budget states none.
  package var device: DeviceProfile?
  /// What is asked of single layers, and which structures there are to try.
  package var recipe: Recipe
  package var seed: UInt64
  package var companions: Companions
  /// The type in which the file stores numbers; nil keeps each tensor's own.
  package var dtype: DType?
  /// The widths in bits that weights may be stored in, beside their own type; nil for none.
  package var bits: [BitWidth]?
  /// Samples of what the network will see; nil plans in the norm of the weights.
  package var calibration: CalibrationSource?
  /// Ranks above 1 are multiples of this.
  package var rankMultiple: Int
  /// The folder that keeps what sweeps found, for the next plan of the same network; nil keeps nothing.
  package var cache: String?
  /// Where the plan goes; nil writes none and tells the frontier alone.
  package var output: String?
  /// Whether a layer or tensor that could gain and is left out for want of support is a reason to make no plan.
  package var isStrict = false

  package init(
    checkpoint: String, budget: Amounts, recipe: Recipe = Recipe(), seed: UInt64 = 0,
    companions: Companions = Companions(), dtype: DType? = nil, calibration: CalibrationSource? = nil,
    rankMultiple: Int = 1, cache: String? = nil, output: String? = nil
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
    self.output = output
  }

  /// The budget, with what the device holds where it states nothing.
  var limits: Amounts {
    var limits = budget
    limits[.bytes] = limits[.bytes] ?? device?.flash.map(Double.init)
    limits[.ram] = limits[.ram] ?? device?.ram.map(Double.init)
    return limits
  }

  /// Sweeps all layers for candidates, chooses among them, and writes the plan. An older plan is replaced; nothing else is.
  ///
  /// - Throws: `Failure` where a file cannot be read or written, a name matches nothing, or a limit cannot be told.
  package func run(workers: Workers, progress: ProgressHandler) throws -> PlanResult {
    if let output {
      try OutputSet([.init(output, option: "-o")])
        .check(inputs: [(checkpoint, "the checkpoint")] + companions.inputs, overwrite: true)
      try PlanDocument.checkReplaceable(output, by: CheckpointSource(path: checkpoint, companions: companions))
    }
    let planner = try Planner.prepared(for: self, workers: workers, progress: progress)
    func result(_ outcome: PlanResult.Outcome, hints: [String] = []) -> PlanResult {
      PlanResult(checkpoint: checkpoint, outcome: outcome, frontier: planner.frontier, notices: planner.notices + hints)
    }
    if isStrict, !planner.skipped.isEmpty { return result(.refused(planner.skipped)) }
    guard let output else { return result(.frontierOnly) }
    switch try planner.plan() {
    case .plan(let plan):
      try OutputFile.write((plan.json.text(.indented) + "\n").utf8, to: output, overwrite: true)
      return result(
        .plan(plan, path: output),
        hints: plan.lostLayers + (try planner.bitsHints(within: plan.budget, loss: plan.solver.loss)))
    case .infeasible(let infeasibility):
      return result(.infeasible(infeasibility), hints: try planner.bitsHints(within: limits, loss: nil))
    }
  }
}

/// A plan, or the proof that none keeps all limits.
package enum PlanOutcome: Sendable {
  case plan(PlanDocument)
  case infeasible(Infeasibility)
}

/// What `plan` found.
package struct PlanResult: Sendable {
  package enum Outcome: Sendable {
    /// A plan, and where it was written.
    case plan(PlanDocument, path: String)
    /// No plan keeps all limits.
    case infeasible(Infeasibility)
    /// These could gain and are left out for want of support, and the request does not put up with that.
    case refused([SkippedTensor])
    /// Nothing limits the network: only the frontier was asked for.
    case frontierOnly
  }

  package let checkpoint: String
  package let outcome: Outcome
  /// What any size of the file buys, whatever the limits.
  package let frontier: [PlanDocument.Alternative]
  package let notices: [String]

  /// Whether what was asked for was found.
  package var isPositive: Bool {
    switch outcome {
    case .plan, .frontierOnly: true
    case .infeasible, .refused: false
    }
  }

  package var json: JSON {
    switch outcome {
    case .plan(let plan, _): plan.json
    case .infeasible(let infeasibility): infeasibility.json
    case .refused(let skipped):
      ["skipped": .array(skipped.map { ["name": .string($0.name), "reason": .string($0.reason)] })]
    case .frontierOnly: ["frontier": .array(frontier.map(\.json))]
    }
  }

  /// Why the outcome is negative, in one sentence; nil for a positive one.
  package var refusal: String? {
    switch outcome {
    case .plan, .frontierOnly: return nil
    case .infeasible(let infeasibility): return "\(checkpoint): \(infeasibility.sentence)"
    case .refused(let skipped):
      let list = skipped.map { "'\($0.name)' (\($0.reason))" }.joined(separator: ", ")
      return "\(checkpoint): --strict: \(skipped.count) that could gain are left out for want of support: \(list)"
    }
  }
}

/// A layer or tensor that a structure might shrink, and that nothing here supports.
package struct SkippedTensor: Sendable, Equatable {
  package let name: String
  package let reason: String
}
