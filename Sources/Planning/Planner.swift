import Basics
import Checkpoints
import Formats
import Networks
import Plans
import Running
import Solver
import TensorCore

/// Makes plans for a network: chooses one of the candidates that a sweep found for every layer so that all limits are kept and the
/// loss is least.
///
/// With samples the loss is what the layers' discrepancies do to the network's outputs, as `Sensitivity` measures it. Without, it is
/// the sum of the squared relative discrepancies of the kernels: to first order the noise that the layers add to a network whose
/// activations are normalised.
package struct Planner: Sendable {
  let request: PlanRequest
  package let checkpoint: Checkpoint
  let costs: NetworkCosts
  let sizes: FileSizeModel
  let layers: [LayerOptions]
  package let notices: [String]

  /// The points of the frontier that a plan keeps.
  private static let frontierCount = 60

  /// Sweeps every layer of a network for candidates, once for all plans of it.
  ///
  /// - Throws: `Failure` where a file cannot be read, a name matches nothing, or a limit cannot be told.
  package static func prepared(
    for asked: PlanRequest, workers: Workers, progress: ProgressHandler
  ) throws -> Planner {
    let (request, checkpoint) = try opened(asked)
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
    let kind = NetworkKinds.of(checkpoint)
    let calibrator = try request.calibration.map { try kind.calibrator($0, workers: workers) }
    let choices = try LayerSweep(checkpoint, request, calibrator, workers: workers).choices(progress: progress)
    let sizes = try FileSizeModel(checkpoint) { replacements in
      try Record(
        replacing: replacements, in: checkpoint, architecture: request.companions.architecture,
        canRun: kind.runsOnRandomInputs, hasSamples: request.calibration != nil && kind.comparesOnData)
    }
    let layers = try workers.map(choices) { try LayerOptions($0, request, costs, sizes) }
    if let layer = layers.first(where: \.options.isEmpty) {
      throw Failure(
        "layer '\(layer.choices.layer.name)'", "has no form left", layer.notes.joined(separator: "; "),
        remedy: "ask less of it in the recipe")
    }
    let reached = choices.filter { !$0.candidates.isEmpty }.map(\.layer)
    return Planner(
      request: request, checkpoint: checkpoint, costs: costs, sizes: sizes, layers: layers,
      notices: checkpoint.notices + typeNotices(checkpoint, request, asked) + costs.notices
        + (calibrator?.notices(on: reached) ?? []))
  }

  /// What is to be said of the types of the numbers: those that there are, and those that are chosen.
  private static func typeNotices(_ checkpoint: Checkpoint, _ request: PlanRequest, _ asked: PlanRequest) -> [String] {
    var notices: [String] = []
    if let share = checkpoint.quantizedShare {
      let part = Format.percent(share)
      notices.append(
        "\(part) of the weights are integers already and stay as they are: plan the network as it was before it was quantized, with --bits"
      )
    }
    if request.dtype != asked.dtype, let dtype = request.dtype {
      notices.append("numbers that stay floating-point are stored as \(dtype.optionName) (--dtype f32 keeps them)")
    }
    return notices
  }

  /// The checkpoint in the type that its numbers are stored in, and the request with that type.
  private static func opened(_ request: PlanRequest) throws -> (PlanRequest, Checkpoint) {
    func open(_ dtype: DType?) throws -> Checkpoint {
      try CheckpointSource(path: request.checkpoint, companions: request.companions, dtype: dtype).open()
    }
    let checkpoint = try open(request.dtype)
    guard request.bits != nil, request.dtype == nil, checkpoint.record == nil,
      let dtype = checkpoint.content.floatTypeBesideIntegers,
      checkpoint.tensors.allSatisfy({ !$0.dtype.isCompressible || $0.dtype.bits > dtype.bits })
    else { return (request, checkpoint) }
    var narrowed = request
    narrowed.dtype = dtype
    return (narrowed, try open(dtype))
  }

  /// The layers and tensors that a structure might shrink and that nothing here supports, with the reason.
  package var skipped: [SkippedTensor] { checkpoint.skippedForWantOfSupport }

  /// What any size of the file buys, whatever the limits: the points that no mixture of others beats.
  package var frontier: [PlanDocument.Alternative] {
    Frontier(groups: layers.map(\.items)).thinned(to: Self.frontierCount).map { point in
      PlanDocument.Alternative(.init(network(adding: point.costs.amounts), loss: point.loss), isKnee: point.isKnee)
    }
  }

  /// What the network takes as it is.
  private var original: Amounts {
    var amounts = costs.total
    amounts[count: .bytes] = sizes.denseByteCount
    return amounts
  }

  /// What the network takes with something added to each resource that adds up.
  private func network(adding added: Amounts) -> Amounts {
    var result = Amounts()
    for resource in Resource.sums {
      result[resource] = original[resource].flatMap { now in added[resource].map { now + $0 } }
    }
    return result
  }

  /// The plan that the request asks for, or why there is none.
  ///
  /// - Throws: `Failure` where a file's size cannot be told.
  package func plan() throws -> PlanOutcome { try plan(request.goal, within: request.limits) }

  /// Another plan from the same sweep.
  ///
  /// - Throws: `Failure` where a file's size cannot be told.
  package func plan(_ goal: PlanRequest.Goal, within limits: Amounts) throws -> PlanOutcome {
    var limits = limits
    switch goal {
    case .leastLoss: break
    case .part(let part):
      let bytes = (Double(checkpoint.byteCount) * part).rounded(.down)
      limits[.bytes] = min(limits[.bytes] ?? bytes, bytes)
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
  private func smallest(maximumLoss: Double, within limits: Amounts) throws -> PlanOutcome {
    let fitting = fitting(limits)
    guard isRunnable(limits), let most = try select(fitting, limits) else {
      return .infeasible(try infeasibility(limits))
    }
    guard most.solver.loss <= maximumLoss,
      let found = try least(fitting, .bytes, limits, maximumLoss: maximumLoss)
    else {
      return .infeasible(Infeasibility([.init(.loss, allowed: maximumLoss, reachable: most.solver.loss)]))
    }
    // Among the files of that size the one with the least loss; what was found first where sizes do not add up.
    let size = Double(sizes.denseByteCount + found.selection.growth)
    if let allowed = limits[.bytes], size > allowed { return .plan(document(fitting, most, limits)) }
    var tight = limits
    tight[.bytes] = size
    if let better = try select(fitting, tight), better.solver.loss <= maximumLoss {
      return .plan(document(fitting, better, limits))
    }
    let loss = zip(fitting, found.selection.picks).reduce(0) { $0 + $1.0.options[$1.1].loss }
    return .plan(document(fitting, found.selection.with(loss: loss), limits))
  }

  // MARK: Selection

  func select(_ layers: [LayerOptions], _ limits: Amounts) throws -> BudgetedSelection? {
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

  /// The limits on what layers add to the resources that add up.
  private func vector(_ limits: Amounts) -> CostVector {
    CostVector { resource in limits[resource].map { $0 - (original[resource] ?? 0) } ?? .infinity }
  }

  /// Whether what no structure replaces leaves room under every limit on a peak.
  func isRunnable(_ limits: Amounts) -> Bool {
    limits.known.allSatisfy { resource, limit in
      costs.peak(resource, outside: layers.map(\.choices.layer)).map { $0.amount <= limit } ?? true
    }
  }

  /// What the file grows by, as a file of this plan shows.
  func growth(_ layers: [LayerOptions], _ picks: [Int]) throws -> Int {
    let replacements = zip(layers, picks).compactMap { layer, pick in
      layer.options[pick].form.replacement(of: layer.choices.layer)
    }
    return try sizes.provenByteCount(replacements) - sizes.denseByteCount
  }

  /// The layers' forms that keep every limit on a peak.
  ///
  /// - Parameter options: nil for the layers' own.
  func fitting(_ limits: Amounts, _ options: [LayerOptions]? = nil) -> [LayerOptions] {
    limits.known.filter { $0.resource.kind == .peak && costs.total[$0.resource] != nil }
      .reduce(options ?? layers) { layers, limit in layers.map { $0.within(limit.resource, limit.amount) } }
  }

  /// The least amount of one resource that adds up while the limits on the others are kept; nil where these cannot be kept
  /// together.
  func least(
    _ layers: [LayerOptions], _ resource: Resource, _ limits: Amounts, maximumLoss: Double = .infinity
  ) throws -> (amount: Double, selection: BudgetedSelection)? {
    guard layers.allSatisfy({ !$0.options.isEmpty }), let lane = resource.lane else { return nil }
    let groups = layers.map(\.items)
    // What is to be least takes the place of the loss, and the loss that of its cost.
    let floors = groups.map { $0.map(\.costs[lane]).min() ?? 0 }
    let swapped = zip(groups, floors).map { items, floor in
      items.map { item in
        var costs = item.costs
        costs[lane] = item.loss
        return KnapsackItem(costs: costs, loss: item.costs[lane] - floor)
      }
    }
    var allowed = vector(limits)
    allowed[lane] = maximumLoss
    let isBytes = resource == .bytes
    let selection = try BudgetedSelection(
      groups: swapped, shared: isBytes ? nil : shared(layers), limits: allowed, slack: isBytes ? nil : sizes.slack
    ) { try growth(layers, $0) }
    guard let selection else { return nil }
    // A file's size almost adds up; what the others come to is their sum.
    let amount =
      isBytes
      ? Double(sizes.denseByteCount + selection.growth)
      : original[resource].map { $0 + floors.reduce(0, +) + selection.solver.loss }
    return amount.map { ($0, selection) }
  }

  // MARK: The document

  private func document(
    _ layers: [LayerOptions], _ selection: BudgetedSelection, _ limits: Amounts
  ) -> PlanDocument {
    let chosen = zip(layers, selection.picks).map { $0.options[$1] }
    return PlanDocument(
      request, checkpoint, zip(layers, chosen).map { ($0, $1) }, budget: limits,
      predicted: .init(predicted(chosen, selection), loss: selection.solver.loss),
      original: .init(originalAmounts, parameters: checkpoint.parameterCount),
      solver: selection.solver, prices: selection.prices.byResource, frontier: frontier)
  }

  /// What the network takes with these forms.
  private func predicted(_ chosen: [LayerOptions.Option], _ selection: BudgetedSelection) -> Amounts {
    var result = Amounts()
    for resource in Resource.allCases {
      // A layer that is not part of the graph adds nothing as it is.
      let parts = chosen.map { $0.amounts[resource] ?? ($0.candidate == nil ? 0 : nil) }
      switch resource.kind {
      case .sum:
        result[resource] = parts.reduce(costs.total[resource]) { sum, part in
          sum.flatMap { sum in part.map { sum + $0 } }
        }
      case .peak:
        let outside = costs.peak(resource, outside: layers.map(\.choices.layer))?.amount
        result[resource] = parts.reduce(outside) { most, part in
          most.flatMap { most in part.map { max(most, $0) } }
        }
      }
    }
    result[count: .bytes] = sizes.denseByteCount + selection.growth
    return result
  }

  /// What the checkpoint takes as it was read.
  private var originalAmounts: Amounts {
    var amounts = costs.total
    amounts[count: .bytes] = checkpoint.byteCount
    return amounts
  }
}
