import Basics
import Plans

/// What stands in the way where no plan keeps all limits.
extension Planner {
  /// The limits that cannot be kept, with what could be reached and what holds it up.
  ///
  /// - Throws: `Failure` where a file's size cannot be told.
  func infeasibility(_ limits: Amounts) throws -> Infeasibility {
    var shortfalls: [Infeasibility.Shortfall] = []
    var heldUpBy: [String] = []
    var fitting = fitting(limits)
    for (resource, limit) in limits.known where resource.kind == .peak {
      guard let found = peakShortfall(resource, limit) else { continue }
      shortfalls.append(found.shortfall)
      heldUpBy += found.layers
      fitting = layers
    }
    func missing(beside others: Amounts) throws -> [Infeasibility.Shortfall] {
      try limits.known.filter { $0.resource.kind == .sum }.compactMap { resource, allowed in
        let reachable = try least(fitting, resource, others)?.amount
        return reachable.map { $0 > allowed } ?? true
          ? .init(.resource(resource), allowed: allowed, reachable: reachable) : nil
      }
    }
    // What cannot be kept by itself is to blame before what cannot be kept together.
    let alone = try missing(beside: Amounts())
    shortfalls += try alone.isEmpty && shortfalls.isEmpty ? missing(beside: limits) : alone
    if shortfalls.contains(where: { $0.limit == .resource(.bytes) }) { heldUpBy += largestTensors() }
    return Infeasibility(shortfalls, heldUpBy: heldUpBy.map { $0.hasPrefix("'") ? $0 : "'\($0)'" })
  }

  /// A limit on a peak that some layer, or what lies outside all layers, is above in every form; nil where it can be kept.
  private func peakShortfall(
    _ resource: Resource, _ limit: Double
  ) -> (shortfall: Infeasibility.Shortfall, layers: [String])? {
    guard costs.total[resource] != nil else { return nil }
    let outside = costs.peak(resource, outside: layers.map(\.choices.layer))
    let needs = layers.filter { $0.within(resource, limit).options.isEmpty }.map { layer in
      let least = layer.options.compactMap { $0.amounts[resource] }.min()
      return (layer.choices.layer.name, least.required("what exceeds a limit is known"))
    }
    guard !needs.isEmpty || outside.map({ $0.amount > limit }) ?? false else { return nil }
    let least = max(outside?.amount ?? 0, needs.map(\.1).max() ?? 0)
    // Those that need as much as is missing.
    let names = (outside.map { [($0.layer ?? "", $0.amount)] } ?? []) + needs
    return (
      .init(.resource(resource), allowed: limit, reachable: least),
      Set(names.filter { $0.1 == least }.map(\.0)).sorted()
    )
  }

  /// What a plan that is too large cannot shrink: the largest tensors outside the layers with candidates.
  private func largestTensors() -> [String] {
    let shrinking = Set(layers.filter(\.canShrink).map(\.choices.layer.kernel.name))
    let refusals = Dictionary(layers.map { ($0.choices.layer.kernel.name, $0.choices.refusal) }) { first, _ in first }
    let computedFrom = checkpoint.content.computedFrom
    return checkpoint.tensors.filter { !shrinking.contains($0.name) }
      .map { tensor in
        // What the file holds for it counts.
        (name: tensor.name, bytes: (computedFrom[tensor.name] ?? [tensor]).reduce(0) { $0 + $1.bytes.count })
      }
      .sorted { ($1.bytes, $0.name) < ($0.bytes, $1.name) }
      .prefix(3).map { name, bytes in
        let reason = refusals[name].flatMap(\.self).map { ": " + $0 } ?? ""
        return "'\(name)' (\(bytes) bytes\(reason))"
      }
  }
}
