import Basics
import HDF5
import KerasLayers
import TensorCore

/// The weights of a model as Keras 3 stores them, in a `.weights.h5` file or inside an archive.
///
/// They are named by the classes of the layers, `layers/conv2d_1/vars/0`, in the order in which Keras counts them; this type
/// translates between that and the groups of a `KerasFile`, named by layer, on which everything else works.
struct KerasVariables: Sendable {
  /// What the file has for every layer, by the layer's path; kept for what the program does not know in it.
  private let groups: [String: HDF5Group]
  /// The class of every layer, by its path.
  private let classes: [String: String]
  /// The name of the group that holds the layers.
  let container: String

  static let optimizer = "optimizer"
  /// The group with the variables of a layer, and its attribute with the layer's name.
  static let variables = "vars"
  static let nameAttribute = "name"
  /// The group of what a TimeDistributed applies to every step.
  private static let stepPart = "layer"
  /// The newer name, and that of TensorFlow 2.12 to 2.15.
  private static let containers = ["layers", "_layer_checkpoint_dependencies"]

  /// Whether a file has this layout, from its root.
  static func isLayout(of root: HDF5Group) -> Bool { containers.contains { root.groups[$0] != nil } }

  init(_ root: HDF5Group, of model: KerasModel) throws {
    var groups: [String: HDF5Group] = [:]
    Self.collect(root, of: model, into: &groups)
    self.groups = groups
    classes = Dictionary(model.allEntries.map { ($0.path, $0.className) }) { first, _ in first }
    container = Self.containers.first { root.groups[$0] != nil } ?? Self.containers[0]
  }

  // MARK: Reading

  /// One group for each layer of the outermost model.
  ///
  /// - Throws: `Failure` where a layer's weights are missing.
  func layerGroups(of model: KerasModel) throws -> [KerasFile.LayerGroup] {
    try model.layers.map { try layerGroup($0, of: model) }
  }

  /// The group of every layer, nested models included.
  private static func collect(_ group: HDF5Group, of model: KerasModel, into groups: inout [String: HDF5Group]) {
    let layers = containers.lazy.compactMap { group.groups[$0] }.first ?? HDF5Group()
    // By the names that newer versions store, else by Keras's counting.
    let named = Dictionary(
      layers.groups.compactMap { key, member -> (String, HDF5Group)? in
        guard case .string(let name) = member.groups[variables]?.attributes[nameAttribute] else { return nil }
        return (name, member)
      }
    ) { first, _ in first }
    let counted = Dictionary(
      zip(KerasGroupNames.layers(of: model), KerasGroupNames.groups(of: model)).compactMap { name, key in
        layers.groups[key].map { (name, $0) }
      }
    ) { first, _ in first }
    for entry in model.layers {
      guard let own = named[entry.name] ?? counted[entry.name] else { continue }
      groups[entry.path] = own
      if let inner = entry.model { collect(own, of: inner, into: &groups) }
      if let inner = entry.stepModel, let part = own.groups[stepPart] { collect(part, of: inner, into: &groups) }
    }
  }

  private func layerGroup(_ entry: KerasEntry, of model: KerasModel) throws -> KerasFile.LayerGroup {
    let slots = KerasWeights.slots(entry, isFrozen: !model.isTrainable, 3)
    var tensors: [StoredTensor] = []
    for slot in slots {
      let scope = entry.name + "/" + slot.entry.name
      guard let names = slot.names else {
        for (path, dataset) in groups[slot.entry.path]?.allDatasets ?? [] {
          tensors.append(try StoredTensor(name: "\(scope)/\(path)", dataset))
        }
        continue
      }
      for name in names {
        guard let path = slot.layer?.paths(of: name).first, let group = groups[slot.entry.path],
          let dataset = group.dataset(at: Self.stored(path, in: group))
        else {
          throw Failure(
            "layer '\(slot.entry.path)'", "does not fit its weights", "the file has no '\(name)' for it",
            remedy: "save the model again, or check that the architecture is its own")
        }
        tensors.append(try StoredTensor(name: "\(scope)/\(name)", dataset))
      }
    }
    return KerasFile.LayerGroup(name: entry.name, weights: tensors)
  }

  /// Some versions name a part of a layer by its public attribute, others by the private one: `query_dense` or `_query_dense`.
  private static func stored(_ path: String, in group: HDF5Group) -> String {
    let attribute = path.prefix { $0 != "/" }
    return group.groups[String(attribute)] == nil && group.groups["_" + attribute] != nil ? "_" + path : path
  }

  // MARK: Writing

  /// - Throws: `Failure` where the file's weights do not fit its configuration.
  func hdf5(of file: KerasFile) throws -> HDF5Group {
    guard let config = file.modelConfig else { preconditionFailure("variables are told apart by an architecture") }
    let model = try KerasModel(config)
    return tree(of: model, try KerasWeights(file, of: model), file.codings)
  }

  private func tree(of model: KerasModel, _ weights: KerasWeights, _ codings: [String: KerasCoding]) -> HDF5Group {
    var layers = HDF5Group()
    let entries = Dictionary(model.layers.map { ($0.name, $0) }) { first, _ in first }
    for (name, key) in zip(KerasGroupNames.layers(of: model), KerasGroupNames.groups(of: model)) {
      guard let entry = entries[name] else { continue }
      if let inner = entry.model {
        layers.groups[key] = tree(of: inner, weights, codings)
      } else if let inner = entry.stepModel {
        layers.groups[key] = HDF5Group(
          groups: [Self.stepPart: tree(of: inner, weights, codings), Self.variables: Self.variables(name)])
      } else if let own = weights.byPath[entry.path], own.names.count == own.all.count {
        layers.groups[key] = group(of: entry, own, codings)
      } else {
        layers.groups[key] = groups[entry.path] ?? HDF5Group(groups: [Self.variables: Self.variables(name)])
      }
    }
    return HDF5Group(groups: [container: layers, Self.variables: Self.variables(model.name)])
  }

  /// The group of a layer whose weights all have names. What else the file has in it, states of random generators say, stays.
  private func group(
    of entry: KerasEntry, _ own: KerasWeights.Own, _ codings: [String: KerasCoding]
  ) -> HDF5Group {
    var group = (classes[entry.path] == entry.className ? groups[entry.path] : nil) ?? HDF5Group()
    group.groups[Self.variables] = Self.variables(entry.name)
    for (name, tensor) in zip(own.names, own.all) {
      let dataset = HDF5Dataset(tensor, codings[tensor.name])
      for path in own.layer?.paths(of: name) ?? [] { group.insert(dataset, at: Self.stored(path, in: group)) }
    }
    return group
  }

  private static func variables(_ name: String) -> HDF5Group {
    HDF5Group(attributes: [Self.nameAttribute: .string(name)])
  }
}
