import Basics
import KerasLayers
import TensorCore

/// Puts the weights of changed layers into the groups of a file; every other tensor stays as it is.
struct KerasWeightsEdit {
  private let changes: [String: KerasEditor.Change]
  private let weights: KerasWeights
  private let file: KerasFile
  /// The weights of the new layers by their names in the program, by the layers' paths.
  private var new: [String: [String: StoredTensor]] = [:]
  /// How the weights of the new layers are stored that take fewer bits than their type, by their names in the file.
  private(set) var codings: [String: KerasCoding] = [:]
  /// The groups of layers without weights, by name.
  private let empty: [String: KerasFile.LayerGroup]

  /// - Parameters:
  ///   - changes: By the path of the layer.
  ///   - weights: Of `file`.
  init(_ changes: [String: KerasEditor.Change], _ weights: KerasWeights, _ file: KerasFile) {
    self.changes = changes
    self.weights = weights
    self.file = file
    empty = Dictionary(file.layers.filter(\.weights.isEmpty).map { ($0.name, $0) }) { first, _ in first }
    for change in changes.values {
      for (part, name) in zip(change.parts, change.names) {
        for (weight, path) in placed(part, name, of: change) { codings[path] = weight.coding(in: change.replacement) }
        let pairs = placed(part, name, of: change).map { weight, path in
          (
            weight.name,
            weight.stored(
              named: path, factors: change.replacement.weights,
              as: weight.coding(in: change.replacement)?.dtype ?? change.layer.dtype)
          )
        }
        new[change.entry.prefix + name] = Dictionary(pairs) { first, _ in first }
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
  func group(of name: String) -> KerasFile.LayerGroup? {
    weights.groups[name].map { file.layers[$0] } ?? empty[name]
  }

  /// The name of the group that a part's weights belong to: the last part takes over the group of an outermost layer; in a
  /// nested model all stay together.
  func groupName(of part: String, of change: KerasEditor.Change) -> String {
    change.entry.prefix.isEmpty && part != change.entry.name ? part : group(of: change.outermost)?.name ?? ""
  }

  /// The weights of a part with their paths in the file, named as its neighbours there are.
  func placed(
    _ part: KerasPart, _ name: String, of change: KerasEditor.Change
  ) -> [(weight: KerasPart.Weight, path: String)] {
    let kernel = change.layer.kernel.name
    let oldGroup = group(of: change.outermost)?.name ?? ""
    // conv2d | model/ | conv2d/ | kernel:0, of which the middle says where the layer stands.
    let scopes = kernel.dropFirst(oldGroup.count + 1).split(separator: "/").dropLast(2)
    let suffix = kernel.hasSuffix(":0") ? ":0" : ""
    let scope = [groupName(of: name, of: change)] + scopes.map(String.init) + [name]
    return part.weights.map { ($0, (scope + [$0.name + suffix]).joined(separator: "/")) }
  }
}
