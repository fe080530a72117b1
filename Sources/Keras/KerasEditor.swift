import Basics
import Checkpoints
import KerasLayers
import ModelGraph
import TensorCore

/// Puts stock layers in place of layers of a Keras model.
///
/// The last of the new layers keeps the old one's name, so that whatever refers to it, a network's output not least, need
/// not change; the others are `name_1`, `name_2` and so on.
struct KerasEditor {
  let graph: KerasGraph

  init(_ graph: KerasGraph) { self.graph = graph }

  /// What a layer becomes.
  struct Change {
    let replacement: Replacement
    let entry: KerasEntry
    /// The name of the outermost model's layer that is it or holds it.
    let outermost: String
    /// The model whose layer it is.
    let holder: KerasModel
    let layer: Layer
    let parts: [KerasPart]
    /// The names of the parts, one for each.
    var names: [String] = []
  }

  /// Why stock layers cannot express these stages in place of the layer; nil where they can.
  func refusal(of stages: [Stage], for layer: Layer) -> String? {
    do throws(KerasRefusal) {
      _ = try parts(of: stages, for: layer)
      return nil
    } catch {
      return error.reason
    }
  }

  /// For each replacement the names of the new layers that hold its factors, in their order; in a nested model
  /// `outer/inner`, as `Layer.name` has it.
  ///
  /// - Throws: `Failure` where a layer cannot be replaced.
  func partNames(replacing replacements: [Replacement]) throws -> [[String]] {
    let changes = try changes(replacements)
    return try replacements.map { replacement in
      guard !replacement.isDense else { return [try KerasKernelEdit(replacement, of: graph).layer.name] }
      guard let change = changes[replacement.layer] else { return [] }
      return zip(change.parts, change.names).filter { $0.0.factor != nil }
        .map { change.entry.prefix + $0.1 }
    }
  }

  /// The file with the replacements made. Where one has no weights, zeros stand for them.
  ///
  /// - Throws: `Failure` where a layer cannot be replaced.
  func replacing(_ replacements: [Replacement], record: JSON?) throws -> KerasFile {
    let changes = try changes(replacements)
    var file = graph.file
    if let architecture = graph.architecture, let old = file.modelConfig, !replacements.isEmpty {
      let edited = try KerasModelEdit(changes).applied(to: old, architecture.model)
      let weights = KerasWeightsEdit(changes, architecture.weights, file)
      file.layers = try weights.groups(of: KerasModel(edited))
      file.codings = weights.codings
      file.modelConfig = edited
    }
    for replacement in replacements where replacement.isDense {
      try KerasKernelEdit(replacement, of: graph).apply(to: &file)
    }
    file.modelConfig = file.modelConfig.map(KerasShorterConfig.of)
    file.hasOptimizerState = false
    file.record = record
    return file
  }

  /// What every layer becomes that takes another form, by its path.
  func changes(_ replacements: [Replacement]) throws -> [String: Change] {
    let replacements = replacements.filter { !$0.isDense }
    guard let first = replacements.first else { return [:] }
    guard let index = graph.architecture?.index else {
      throw Self.failure(first.layer, "the file has no architecture")
    }
    var taken: Set<String> = []
    var changes: [String: Change] = [:]
    // In an order of their own, so that names do not depend on the caller's.
    for replacement in replacements.sorted(by: { $0.layer < $1.layer }) {
      guard let layer = index.layers[replacement.layer], let place = index.places[replacement.layer] else {
        throw Self.failure(replacement.layer, "the model has no such layer")
      }
      let entry = place.entry
      let parts: [KerasPart]
      do throws(KerasRefusal) {
        parts = try self.parts(of: replacement.stages, for: layer)
      } catch {
        throw Self.failure(layer.name, error.reason)
      }
      precondition(
        replacement.weights.isEmpty
          || replacement.weights.map(\.shape) == replacement.stages.convolutions.map(\.kernelShape),
        "the weights of '\(layer.name)' are not those of its stages")
      precondition(changes[layer.name] == nil, "'\(layer.name)' is replaced twice")
      var change = Change(
        replacement: replacement, entry: entry, outermost: place.outermost, holder: place.holder, layer: layer,
        parts: parts)
      var number = 1
      while change.names.count < parts.count - 1 {
        let name = "\(entry.name)_\(number)"
        if !index.names.contains(name), taken.insert(name).inserted { change.names.append(name) }
        number += 1
      }
      change.names.append(entry.name)
      changes[layer.name] = change
    }
    return changes
  }

  static func failure(_ layer: String, _ reason: String) -> Failure {
    Failure("layer '\(layer)'", "cannot be replaced", reason)
  }

  private func parts(of stages: [Stage], for layer: Layer) throws(KerasRefusal) -> [KerasPart] {
    if let reason = layer.refusal { throw KerasRefusal(reason: reason) }
    guard let architecture = graph.architecture, let place = architecture.index.places[layer.name] else {
      throw KerasRefusal(reason: "the file has no architecture")
    }
    // The weights of a nested model stand in one list, in which everyone must be found again.
    if let other = architecture.index.unknown[place.outermost] {
      throw KerasRefusal(
        reason: "its model holds '\(other.path)', a \(other.className) layer whose weights the program does not know")
    }
    return try KerasStageWriter.parts(
      of: stages, for: layer, original: architecture.weights.layer(place.entry),
      inputShapes: architecture.inputShapes[layer.name] ?? [])
  }
}
