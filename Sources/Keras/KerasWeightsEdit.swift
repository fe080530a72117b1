import Basics
import TensorCore

/// Puts the weights of changed layers into the groups of a file; every other tensor stays as it is.
struct KerasWeightsEdit {
  private let changes: [String: KerasEditor.Change]
  private let weights: KerasWeights
  private let file: KerasFile
  /// The weights of the new layers by their names in the program, by the layers' paths.
  private var new: [String: [String: StoredTensor]] = [:]

  /// - Parameters:
  ///   - changes: By the path of the layer.
  ///   - weights: Of `file`.
  init(_ changes: [String: KerasEditor.Change], _ weights: KerasWeights, _ file: KerasFile) {
    self.changes = changes
    self.weights = weights
    self.file = file
    for change in changes.values {
      for (part, name) in zip(change.parts, change.names) {
        new[change.entry.prefix + name] = stored(part, name, of: change)
      }
    }
  }

  /// The groups of the edited model.
  func groups(of model: KerasModel) -> [KerasFile.LayerGroup] {
    model.layers.compactMap { entry in
      let own = group(of: entry.name)
      let isChanged = entry.model != nil && changes.keys.contains { $0.hasPrefix(entry.path + "/") }
      guard new[entry.path] != nil || isChanged else { return own }
      let slots = KerasWeights.slots(entry, isFrozen: !model.isTrainable, file.majorVersion)
      return KerasFile.LayerGroup(
        name: own?.name ?? entry.name,
        weights: slots.flatMap { slot in
          let tensors = new[slot.entry.path] ?? weights.tensors(of: slot.entry)
          return (slot.names ?? []).compactMap { tensors[$0] }
        })
    }
  }

  /// The group of a layer of the outermost model; one without weights goes by its name alone.
  private func group(of name: String) -> KerasFile.LayerGroup? {
    weights.groups[name].map { file.layers[$0] } ?? file.layers.first { $0.name == name && $0.weights.isEmpty }
  }

  /// The weights of a part, named as its neighbours in the file are.
  private func stored(_ part: KerasPart, _ name: String, of change: KerasEditor.Change) -> [String: StoredTensor] {
    let kernel = change.layer.kernel.name
    let oldGroup = group(of: change.outermost)?.name ?? ""
    // The last part takes over the group of an outermost layer; in a nested model all stay together.
    let group = change.entry.prefix.isEmpty && name != change.entry.name ? name : oldGroup
    // conv2d | model/ | conv2d/ | kernel:0, of which the middle says where the layer stands.
    let scopes = kernel.dropFirst(oldGroup.count + 1).split(separator: "/").dropLast(2)
    let suffix = kernel.hasSuffix(":0") ? ":0" : ""
    let pairs = part.weights.map { weight in
      let path = [group] + scopes.map(String.init) + [name, weight.name + suffix]
      return (
        weight.name,
        weight.stored(
          named: path.joined(separator: "/"), factors: change.replacement.weights, as: change.layer.dtype)
      )
    }
    return Dictionary(pairs) { first, _ in first }
  }
}
