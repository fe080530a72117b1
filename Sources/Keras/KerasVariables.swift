import Basics
import HDF5
import TensorCore

/// The weights of a model as Keras 3 stores them, in a `.weights.h5` file or inside an archive.
///
/// They are named by the classes of the layers, `layers/conv2d_1/vars/0`, in the order in which Keras counts them; this type
/// translates between that and the groups of a `KerasFile`, named by layer, on which everything else works.
struct KerasVariables: Sendable {
  /// What the file has for every layer, by the layer's path; kept for layers whose weights the program does not know.
  private let groups: [String: HDF5Group]
  /// The name of the group that holds the layers.
  let container: String

  static let optimizer = "optimizer"
  /// The group with the variables of a layer, and its attribute with the layer's name.
  static let variables = "vars"
  static let nameAttribute = "name"
  /// The newer name, and that of TensorFlow 2.12 to 2.15.
  private static let containers = ["layers", "_layer_checkpoint_dependencies"]

  /// Whether a file has this layout, from its root.
  static func isLayout(of root: HDF5Group) -> Bool { containers.contains { root.groups[$0] != nil } }

  init(_ root: HDF5Group, of model: KerasModel) throws {
    var groups: [String: HDF5Group] = [:]
    Self.collect(root, of: model, into: &groups)
    self.groups = groups
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
      zip(orderedNames(of: model), containerNames(of: model)).compactMap { name, key in
        layers.groups[key].map { (name, $0) }
      }
    ) { first, _ in first }
    for entry in model.layers {
      guard let own = named[entry.name] ?? counted[entry.name] else { continue }
      groups[entry.path] = own
      if let inner = entry.model { collect(own, of: inner, into: &groups) }
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
      // A layer's variables are numbered over both of its slots.
      let all = slots.filter { $0.entry.path == slot.entry.path }.flatMap { $0.names ?? [] }
      for name in names {
        guard let number = all.firstIndex(of: name),
          let dataset = groups[slot.entry.path]?.dataset(at: "vars/\(number)")
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

  /// The layers of a model in the order in which Keras counts them; a Sequential does not count its input.
  static func orderedNames(of model: KerasModel) -> [String] {
    guard model.isSequential else { return KerasLayerOrder.names(of: model) }
    return model.layers.map(\.name).enumerated()
      .filter { $0.offset > 0 || model.layers[0].className != "InputLayer" }.map(\.element)
  }

  /// The name of each of these layers in the weights file: its class in snake case, numbered from the second on.
  static func containerNames(of model: KerasModel) -> [String] {
    let classes = Dictionary(model.layers.map { ($0.name, $0.className) }) { first, _ in first }
    var counts: [String: Int] = [:]
    return orderedNames(of: model).map { name in
      let base = snakeCase(classes[name] ?? "")
      defer { counts[base, default: 0] += 1 }
      return key(base, counts[base] ?? 0)
    }
  }

  /// The name of a layer's group.
  ///
  /// - Parameters:
  ///   - base: its class in snake case.
  ///   - number: how many layers of the class come before it.
  static func key(_ base: String, _ number: Int) -> String { number == 0 ? base : "\(base)_\(number)" }

  /// As Keras does it: before a capital that small letters follow, and between a small letter and a capital.
  static func snakeCase(_ name: String) -> String {
    let letters = Array(name.filter { $0.isLetter || $0.isNumber || $0 == "_" })
    var result = ""
    for (index, letter) in letters.enumerated() {
      if index > 0, letter.isUppercase {
        let startsWord = index + 1 < letters.count && letters[index + 1].isLowercase
        if startsWord || letters[index - 1].isLowercase { result += "_" }
      }
      result += letter.lowercased()
    }
    return result
  }

  // MARK: Writing

  /// - Throws: `Failure` where the file's weights do not fit its configuration.
  func hdf5(of file: KerasFile) throws -> HDF5Group {
    guard let config = file.modelConfig else { preconditionFailure("variables are told apart by an architecture") }
    let model = try KerasModel(config)
    return tree(of: model, try KerasWeights(file, of: model))
  }

  private func tree(of model: KerasModel, _ weights: KerasWeights) -> HDF5Group {
    var layers = HDF5Group()
    let entries = Dictionary(model.layers.map { ($0.name, $0) }) { first, _ in first }
    for (name, key) in zip(Self.orderedNames(of: model), Self.containerNames(of: model)) {
      guard let entry = entries[name] else { continue }
      if let inner = entry.model {
        layers.groups[key] = tree(of: inner, weights)
      } else if let own = weights.byPath[entry.path], own.names.count == own.all.count {
        var group = HDF5Group()
        group.groups[Self.variables] = Self.variables(name, own.all)
        layers.groups[key] = group
      } else {
        layers.groups[key] = groups[entry.path] ?? HDF5Group(groups: [Self.variables: Self.variables(name, [])])
      }
    }
    return HDF5Group(groups: [container: layers, Self.variables: Self.variables(model.name, [])])
  }

  private static func variables(_ name: String, _ tensors: [StoredTensor]) -> HDF5Group {
    var group = HDF5Group(attributes: [Self.nameAttribute: .string(name)])
    for (number, tensor) in tensors.enumerated() {
      group.datasets["\(number)"] = HDF5Dataset(
        shape: tensor.shape, type: HDF5ElementType(tensor.dtype), bytes: tensor.bytes)
    }
    return group
  }
}
