import Basics
import KerasLayers
import TensorCore

/// Which weights of a file belong to which layer of its configuration.
///
/// Keras stores one group for each layer of the outermost model. The weights of a nested model all stand in its one group:
/// first what its layers can train, layer after layer, then everything else.
struct KerasWeights: Sendable {
  /// A layer's own weights, in the order in which Keras stores them.
  struct Own: Sendable {
    let trainable: [StoredTensor]
    let fixed: [StoredTensor]
    /// The names of the weights; empty where the program does not know the layer's class.
    let names: [String]
    /// The same as the layer itself orders them; nil where its class is not known.
    let layer: KerasWeightNames?

    var all: [StoredTensor] { trainable + fixed }
  }

  /// The weights by their layer's path; layers inside a group whose order is unknown are absent.
  private(set) var byPath: [String: Own] = [:]
  /// The position of the group of every layer of the outermost model that has one.
  private(set) var groups: [String: Int] = [:]

  private let majorVersion: Int

  /// - Throws: `Failure` where a layer has another number of weights than its configuration says.
  init(_ file: KerasFile, of model: KerasModel) throws {
    majorVersion = file.majorVersion
    groups = try Self.groups(of: model, in: file, majorVersion)
    for entry in model.layers {
      let weights = groups[entry.name].map { file.layers[$0].weights } ?? []
      let slots = Self.slots(entry, isFrozen: !model.isTrainable, majorVersion)
      try assign(weights, to: slots, of: entry)
    }
  }

  /// A layer with the weights of its own.
  func layer(_ entry: KerasEntry) -> KerasLayer {
    KerasLayer(entry: entry, majorVersion: majorVersion, weights: tensors(of: entry))
  }

  /// A layer's own weights by their names.
  func tensors(of entry: KerasEntry) -> [String: StoredTensor] {
    guard let own = byPath[entry.path] else { return [:] }
    return Dictionary(zip(own.names, own.all)) { first, _ in first }
  }

  /// Whether every weight of a layer has a name, so that its place in a nested model's group is known.
  func knowsOrder(of entry: KerasEntry) -> Bool {
    byPath[entry.path].map { $0.names.count == $0.all.count } ?? false
  }

  /// The groups by name; where that leaves weights without a layer, those with weights by their order, as Keras loads them.
  private static func groups(of model: KerasModel, in file: KerasFile, _ majorVersion: Int) throws -> [String: Int] {
    let names = Set(model.layers.map(\.name))
    let byName = Dictionary(file.layers.indices.map { (file.layers[$0].name, $0) }) { first, _ in first }
    if file.layers.allSatisfy({ $0.weights.isEmpty || names.contains($0.name) }) {
      return byName.filter { names.contains($0.key) }
    }
    let holders = model.layers.filter { entry in
      slots(entry, isFrozen: false, majorVersion).contains { $0.names.map { !$0.isEmpty } ?? true }
    }
    let filled = file.layers.indices.filter { !file.layers[$0].weights.isEmpty }
    guard holders.count == filled.count else {
      throw Failure(
        "weights", "do not fit the architecture",
        "\(filled.count) groups hold weights for \(holders.count) layers that have some")
    }
    return Dictionary(zip(holders.map(\.name), filled)) { first, _ in first }
  }

  /// One layer's share of a group: its trainable or its fixed weights.
  struct Slot {
    let entry: KerasEntry
    /// The names of the weights; nil where the class is unknown.
    let names: [String]?
    let isTrainable: Bool
    /// The names of all weights of the layer; nil where the class is unknown.
    let layer: KerasWeightNames?
  }

  /// Every share of an entry's group in the order of the file.
  static func slots(_ entry: KerasEntry, isFrozen: Bool, _ majorVersion: Int) -> [Slot] {
    let isFrozen = isFrozen || !entry.isTrainable
    if let model = entry.model ?? entry.stepModel {
      let inner = model.layers.flatMap { slots($0, isFrozen: isFrozen, majorVersion) }
      return inner.filter(\.isTrainable) + inner.filter { !$0.isTrainable }
    }
    // Operators never have weights, known or not.
    if KerasOperators.name(of: entry) != nil {
      return [Slot(entry: entry, names: [], isTrainable: !isFrozen, layer: KerasWeightNames())]
    }
    let layer = KerasLayer(entry: entry, majorVersion: majorVersion)
    guard let names = KerasLayerType.of(entry).flatMap({ $0.weightNames(layer) }) else {
      return [Slot(entry: entry, names: nil, isTrainable: !isFrozen, layer: nil)]
    }
    return isFrozen
      ? [Slot(entry: entry, names: names.all, isTrainable: false, layer: names)]
      : [
        Slot(entry: entry, names: names.trainable, isTrainable: true, layer: names),
        Slot(entry: entry, names: names.fixed, isTrainable: false, layer: names),
      ]
  }

  private mutating func assign(_ weights: [StoredTensor], to slots: [Slot], of entry: KerasEntry) throws {
    let parts = try Self.parts(weights, slots, of: entry)
    for (path, own) in parts {
      let trainable = own.filter(\.slot.isTrainable)
      let fixed = own.filter { !$0.slot.isTrainable }
      byPath[path] = Own(
        trainable: trainable.flatMap(\.weights), fixed: fixed.flatMap(\.weights),
        names: (trainable + fixed).flatMap { $0.slot.names ?? [] }, layer: own.first?.slot.layer)
    }
  }

  private typealias Part = (slot: Slot, weights: [StoredTensor])

  /// Divides a group among its slots, by the path of each slot's layer.
  private static func parts(
    _ weights: [StoredTensor], _ slots: [Slot], of entry: KerasEntry
  ) throws -> [String: [Part]] {
    if slots.count == 1, slots[0].names == nil { return [slots[0].entry.path: [(slots[0], weights)]] }
    if entry.model ?? entry.stepModel != nil, let parts = byName(weights, slots) { return parts }
    let counts = slots.compactMap { $0.names?.count }
    guard counts.count == slots.count else {
      throw Failure(
        "layer '\(entry.path)'", "cannot be read",
        "it holds layers that the program does not know, and the weights' names do not tell whose they are")
    }
    var rest = weights[...]
    if counts.reduce(0, +) != rest.count {
      throw Failure(
        "layer '\(entry.path)'", "does not fit its weights", "the file holds \(weights.count)",
        remedy: "expected \(counts.reduce(0, +)): \(slots.flatMap { $0.names ?? [] }.joined(separator: ", "))")
    }
    var parts: [String: [Part]] = [:]
    for (slot, count) in zip(slots, counts) {
      parts[slot.entry.path, default: []].append((slot, Array(rest.prefix(count))))
      rest = rest.dropFirst(count)
    }
    return parts
  }

  /// The same by the names of the layers, which stand before the last part of a weight's name; nil where these do not
  /// tell every weight's layer.
  private static func byName(_ weights: [StoredTensor], _ slots: [Slot]) -> [String: [Part]]? {
    let owners = Dictionary(grouping: slots, by: \.entry.name)
    guard owners.values.allSatisfy({ Set($0.map(\.entry.path)).count == 1 }) else { return nil }
    let mine = Dictionary(grouping: weights) { weight -> String in
      let scope = weight.name.split(separator: "/").dropLast().joined(separator: "/")
      return owners.keys.filter { scope == $0 || scope.hasSuffix("/" + $0) }
        .max { ($0.count, $0) < ($1.count, $1) } ?? ""
    }
    guard mine[""] == nil else { return nil }
    var parts: [String: [Part]] = [:]
    for (name, slots) in owners {
      var rest = (mine[name] ?? [])[...]
      let known = slots.compactMap { $0.names?.count }
      guard known.count < slots.count || known.reduce(0, +) == rest.count else { return nil }
      for slot in slots {
        let count = slot.names?.count ?? rest.count
        parts[slot.entry.path, default: []].append((slot, Array(rest.prefix(count))))
        rest = rest.dropFirst(count)
      }
    }
    return parts
  }
}
