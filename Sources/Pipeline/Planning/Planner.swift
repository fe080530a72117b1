import Basics
import Checkpoints
import Decompositions
import Formats
import Foundation
import ModelGraph
import Planning

/// Makes plans for a network: sweeps every layer for candidates once, then chooses one for each so that all limits are kept and the loss
/// is least.
///
/// With samples the loss is what the layers' discrepancies do to the network's outputs, as `Sensitivity` measures it. Without, it is
/// the sum of the squared relative discrepancies of the kernels: to first order the noise that the layers add to a network whose
/// activations are normalised.
package struct Planner {
  private let request: PlanRequest
  private let checkpoint: Checkpoint
  private let costs: NetworkCosts
  let sizes: FileSizeModel
  let layers: [LayerOptions]
  package let notices: [String]

  /// The points of the frontier that a plan keeps.
  private static let frontierCount = 60

  /// - Throws: `Failure` where a file cannot be read, a name matches nothing, or a limit cannot be told.
  package init(_ request: PlanRequest, workers: Workers, progress: Progress = .silent) throws {
    let checkpoint = try CheckpointSource(
      path: request.checkpoint, companions: request.companions, dtype: request.dtype
    ).open()
    guard checkpoint.record == nil else {
      throw Failure(
        request.checkpoint, "is not planned", "kcompress has compressed it already",
        remedy: "plan the original checkpoint")
    }
    for (glob, origin) in request.recipe.globs where !checkpoint.layers.contains(where: { glob.matches($0.name) }) {
      throw Failure(
        origin, "matches no layer", "'\(request.checkpoint)' has none of such a name",
        remedy: "kcompress inspect lists the layers")
    }
    let costs = try NetworkCosts(checkpoint, request)
    let (calibration, text) = try request.calibration?.read(for: checkpoint, workers: workers) ?? (nil, nil)
    let choices = try LayerSweep(checkpoint, request, calibration, norms: text?.norms ?? [:], workers: workers)
      .choices(progress: progress)
    let sizes = try FileSizeModel(checkpoint) { replacements in
      try Record(replacing: replacements, in: checkpoint, architecture: request.companions.architecture)
    }
    layers = try workers.map(choices) { try LayerOptions($0, request, costs, sizes) }
    if let layer = layers.first(where: \.options.isEmpty) {
      throw Failure(
        "layer '\(layer.choices.layer.name)'", "has no form left", layer.notes.joined(separator: "; "),
        remedy: "ask less of it in the recipe")
    }
    self.request = request
    self.checkpoint = checkpoint
    self.costs = costs
    self.sizes = sizes
    notices = checkpoint.notices + costs.notices + (calibration?.notices(on: choices) ?? [])
  }

  /// The layers and tensors that a structure might shrink and that nothing here supports, with the reason.
  package var skipped: [(name: String, reason: String)] { checkpoint.skippedForWantOfSupport }

  /// What any size of the file buys, whatever the limits: the points that no mixture of others beats.
  package var frontier: [PlanDocument.Alternative] {
    Frontier(groups: layers.map(\.items)).thinned(to: Self.frontierCount).map { point in
      PlanDocument.Alternative(
        bytes: sizes.denseByteCount + Int(point.costs[0]), loss: point.loss,
        macs: costs.macs.map { $0 + Int(point.costs[1]) }, latency: costs.seconds.map { $0 + point.costs[2] },
        isKnee: point.isKnee)
    }
  }

  /// The plan that the request asks for, or why there is none.
  ///
  /// - Throws: `Failure` where a file's size cannot be told.
  package func plan() throws -> PlanOutcome { try plan(request.goal, within: request.limits) }

  /// Another plan from the same sweep.
  ///
  /// - Throws: `Failure` where a file's size cannot be told.
  package func plan(_ goal: PlanRequest.Goal, within limits: PlanDocument.Budget) throws -> PlanOutcome {
    var limits = limits
    switch goal {
    case .leastLoss: break
    case .part(let part):
      limits.bytes = min(limits.bytes ?? .max, Int(Double(checkpoint.byteCount) * part))
    case .smallest(let maximumLoss):
      return try smallest(maximumLoss: maximumLoss, within: limits)
    }
    let fitting = fitting(limits)
    guard isRunnable(limits), let selection = try select(fitting, limits) else {
      return .infeasible(try infeasibility(limits))
    }
    return .plan(document(fitting, selection, limits))
  }

  /// The plan with the smallest file whose loss is at most this.
  private func smallest(maximumLoss: Double, within limits: PlanDocument.Budget) throws -> PlanOutcome {
    let fitting = fitting(limits)
    guard isRunnable(limits), let most = try select(fitting, limits) else {
      return .infeasible(try infeasibility(limits))
    }
    guard most.solver.loss <= maximumLoss,
      let found = try least(fitting, .bytes, limits, maximumLoss: maximumLoss)
    else {
      let shortfall = Infeasibility.Shortfall(limit: .loss, allowed: maximumLoss, reachable: most.solver.loss)
      return .infeasible(Infeasibility(shortfalls: [shortfall], heldUpBy: []))
    }
    // Among the files of that size the one with the least loss; what was found first where sizes do not add up.
    var tight = limits
    tight.bytes = sizes.denseByteCount + found.selection.growth
    if tight.bytes ?? 0 > limits.bytes ?? .max { return .plan(document(fitting, most, limits)) }
    if let better = try select(fitting, tight), better.solver.loss <= maximumLoss {
      return .plan(document(fitting, better, limits))
    }
    let loss = zip(fitting, found.selection.picks).reduce(0) { $0 + $1.0.options[$1.1].loss }
    return .plan(document(fitting, found.selection.with(loss: loss), limits))
  }

  // MARK: Selection

  private func select(_ layers: [LayerOptions], _ limits: PlanDocument.Budget) throws -> BudgetedSelection? {
    guard layers.allSatisfy({ !$0.options.isEmpty }) else { return nil }
    return try BudgetedSelection(
      groups: layers.map(\.items), shared: shared(layers), limits: vector(limits), slack: sizes.slack
    ) { try growth(layers, $0) }
  }

  /// What layers' forms have in common in the file; nil where that is nothing.
  private func shared(_ layers: [LayerOptions]) throws -> SharedCosts? {
    let shared = try SharedCosts(layers.map { $0.options.map(\.shared) }, size: sizes.checkpoint.byteCount)
    return shared.isEmpty ? nil : shared
  }

  /// The limits on what layers add: bytes, multiply-accumulates, seconds.
  private func vector(_ limits: PlanDocument.Budget) -> CostVector {
    func rest(_ limit: Double?, _ now: Double?) -> Double { limit.map { $0 - (now ?? 0) } ?? .infinity }
    return [
      rest(limits.bytes.map(Double.init), Double(sizes.denseByteCount)),
      rest(limits.macs.map(Double.init), costs.macs.map(Double.init)), rest(limits.latency, costs.seconds), 0,
    ]
  }

  /// Whether what no structure replaces leaves the activations room.
  private func isRunnable(_ limits: PlanDocument.Budget) -> Bool {
    guard let ram = limits.ram, let outside = costs.ram(outside: layers.map(\.choices.layer)) else { return true }
    return outside.bytes <= ram
  }

  /// What the file grows by, exactly.
  func growth(_ layers: [LayerOptions], _ picks: [Int]) throws -> Int {
    let replacements = zip(layers, picks).compactMap { layer, pick in
      layer.options[pick].candidate.map {
        Replacement(layer: layer.choices.layer.name, structure: $0.structure, stages: $0.stages)
      }
    }
    return try sizes.byteCount(replacements) - sizes.denseByteCount
  }

  /// The layers' forms whose activations fit.
  private func fitting(_ limits: PlanDocument.Budget) -> [LayerOptions] {
    guard let ram = limits.ram, costs.ram != nil else { return layers }
    return layers.map { $0.within(ram: ram) }
  }

  /// The least of one quantity while the limits on the others are kept; nil where these cannot be kept together.
  private func least(
    _ layers: [LayerOptions], _ limit: Infeasibility.Shortfall.Limit, _ limits: PlanDocument.Budget,
    maximumLoss: Double = .infinity
  ) throws -> (value: Double, selection: BudgetedSelection)? {
    guard layers.allSatisfy({ !$0.options.isEmpty }), let axis = Self.axes.firstIndex(of: limit) else { return nil }
    let groups = layers.map(\.items)
    // What is to be least takes the place of the loss, and the loss that of its cost.
    let floors = groups.map { $0.map(\.costs[axis]).min() ?? 0 }
    let swapped = zip(groups, floors).map { items, floor in
      items.map { item in
        var costs = item.costs
        costs[axis] = item.loss
        return KnapsackItem(costs: costs, loss: item.costs[axis] - floor)
      }
    }
    var allowed = vector(limits)
    allowed[axis] = maximumLoss
    let isBytes = limit == .bytes
    let selection = try BudgetedSelection(
      groups: swapped, shared: isBytes ? nil : shared(layers), limits: allowed, slack: isBytes ? nil : sizes.slack
    ) { try growth(layers, $0) }
    guard let selection else { return nil }
    let value: Double? =
      switch limit {
      case .bytes: Double(sizes.denseByteCount + selection.growth)
      case .macs: costs.macs.map { Double($0) + floors.reduce(0, +) + selection.solver.loss }
      case .latency: costs.seconds.map { $0 + floors.reduce(0, +) + selection.solver.loss }
      case .ram, .loss: nil
      }
    return value.map { ($0, selection) }
  }

  private static let axes: [Infeasibility.Shortfall.Limit] = [.bytes, .macs, .latency]

  // MARK: What stands in the way

  private func infeasibility(_ limits: PlanDocument.Budget) throws -> Infeasibility {
    var shortfalls: [Infeasibility.Shortfall] = []
    var heldUpBy: [String] = []
    var fitting = layers
    if let ram = limits.ram, costs.ram != nil {
      fitting = self.fitting(limits)
      let outside = costs.ram(outside: layers.map(\.choices.layer))
      let needs = zip(layers, fitting).filter { $1.options.isEmpty }.map { layer, _ in
        (layer.choices.layer.name, layer.options.compactMap(\.ram).min() ?? 0)
      }
      if !needs.isEmpty || outside.map({ $0.bytes > ram }) ?? false {
        let least = max(outside?.bytes ?? 0, needs.map(\.1).max() ?? 0)
        shortfalls.append(.init(limit: .ram, allowed: Double(ram), reachable: Double(least)))
        // Those that need as much as is missing.
        let names = (outside.map { [($0.layer ?? "", $0.bytes)] } ?? []) + needs
        heldUpBy += Set(names.filter { $0.1 == least }.map(\.0)).sorted()
        fitting = layers
      }
    }
    let asked: [(Infeasibility.Shortfall.Limit, Double?)] = [
      (.bytes, limits.bytes.map(Double.init)), (.macs, limits.macs.map(Double.init)), (.latency, limits.latency),
    ]
    func missing(beside others: PlanDocument.Budget) throws -> [Infeasibility.Shortfall] {
      try asked.compactMap { limit, allowed in
        guard let allowed else { return nil }
        let reachable = try least(fitting, limit, others)?.value
        return reachable.map { $0 > allowed } ?? true
          ? .init(limit: limit, allowed: allowed, reachable: reachable) : nil
      }
    }
    // What cannot be kept by itself is to blame before what cannot be kept together.
    let alone = try missing(beside: .init())
    shortfalls += try alone.isEmpty && shortfalls.isEmpty ? missing(beside: limits) : alone
    if shortfalls.contains(where: { $0.limit == .bytes }) { heldUpBy += largestTensors() }
    return Infeasibility(shortfalls: shortfalls, heldUpBy: heldUpBy.map { $0.hasPrefix("'") ? $0 : "'\($0)'" })
  }

  /// What a plan that is too large cannot shrink: the largest tensors outside the layers with candidates.
  private func largestTensors() -> [String] {
    let shrinking = Set(layers.filter(\.canShrink).map(\.choices.layer.kernel.name))
    let refusals = Dictionary(layers.map { ($0.choices.layer.kernel.name, $0.choices.refusal) }) { first, _ in first }
    return checkpoint.tensors.filter { !shrinking.contains($0.name) }
      .sorted { ($1.bytes.count, $0.name) < ($0.bytes.count, $1.name) }
      .prefix(3).map { tensor in
        let reason = refusals[tensor.name].flatMap(\.self).map { ": " + $0 } ?? ""
        return "'\(tensor.name)' (\(tensor.bytes.count) bytes\(reason))"
      }
  }

  // MARK: The document

  private func document(
    _ layers: [LayerOptions], _ selection: BudgetedSelection, _ limits: PlanDocument.Budget
  ) -> PlanDocument {
    let chosen = zip(layers, selection.picks).map { $0.options[$1] }
    func total(_ now: Int?, _ added: [Int?]) -> Int? {
      added.reduce(now) { sum, part in sum.flatMap { sum in part.map { sum + $0 } } }
    }
    let latency = costs.seconds.map { now in chosen.reduce(now) { $0 + ($1.seconds ?? 0) } }
    let ram = costs.ram(outside: layers.map(\.choices.layer)).map { outside in
      chosen.reduce(outside.bytes) { max($0, $1.ram ?? 0) }
    }
    // A layer that is not part of the graph adds nothing.
    let macs = total(costs.macs, chosen.map { $0.candidate == nil ? 0 : $0.macs })
    return PlanDocument(
      request, checkpoint, zip(layers, chosen).map { ($0, $1) }, budget: limits,
      predicted: .init(
        bytes: sizes.denseByteCount + selection.growth, macs: macs, ram: ram, latency: latency,
        loss: selection.solver.loss),
      original: .init(
        bytes: checkpoint.byteCount, parameters: checkpoint.parameterCount, macs: costs.macs, ram: costs.ram,
        latency: costs.seconds),
      solver: selection.solver,
      prices: .init(bytes: selection.prices[0], macs: selection.prices[1], latency: selection.prices[2]),
      frontier: frontier)
  }
}
