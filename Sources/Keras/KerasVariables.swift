import Basics
import HDF5
import KerasLayers
import TensorCore

/// The weights of a model as Keras 3 stores them, in a `.weights.h5` file or inside an archive.
///
/// They are named by the classes of the layers, `layers/conv2d_1/vars/0`, in the order in which Keras counts them; this type
/// translates between that and the groups of a `KerasFile`, named by layer, on which everything else works. Where nothing says what the
/// layers are, the groups go by their paths in the file.
struct KerasVariables: Sendable {
  /// What the file has for every layer, by the layer's path; kept for what the program does not know in it.
  private let groups: [String: HDF5Group]
  /// The class of every layer, by its path.
  private let classes: [String: String]
  /// Whether the file has the layout of TensorFlow 2.12 to 2.14.
  let isOutdated: Bool

  static let optimizer = "optimizer"
  /// The group with the variables of a layer, and its attribute with the layer's name.
  static let variables = "vars"
  static let nameAttribute = "name"
  /// The group of what a TimeDistributed applies to every step.
  private static let stepPart = "layer"
  /// The name of the group that holds the layers, and that of TensorFlow 2.12 to 2.14, which later versions do not read.
  static let container = "layers"
  private static let oldContainer = "_layer_checkpoint_dependencies"
  private static let containers = [container, oldContainer]

  /// Whether a file has this layout, from its root.
  static func isLayout(of root: HDF5Group) -> Bool {
    root.groups.keys.contains { containers.contains(String($0.prefix { $0 != "\\" })) }
      || (root.groups[variables] != nil && root.groups[KerasFile.modelWeights] == nil
        && root.attributes[KerasFile.layerNames] == nil)
  }

  /// - Parameter root: tidied.
  init(_ root: HDF5Group, of model: KerasModel) throws {
    var groups: [String: HDF5Group] = [:]
    Self.collect(root, of: model, into: &groups)
    self.groups = groups
    isOutdated = root.groups[Self.container] == nil && root.groups[Self.oldContainer] != nil
    classes = Dictionary(model.allEntries.map { ($0.path, $0.className) }) { first, _ in first }
  }

  /// The variables of a model whose architecture is not known.
  ///
  /// - Parameter root: tidied.
  init(unknown root: HDF5Group) {
    var root = root
    for name in KerasFile.skipped { root.groups[name] = nil }
    root.attributes[KerasFile.recordAttribute] = nil
    groups = ["": root]
    classes = [:]
    isOutdated = false
  }

  // MARK: Reading

  /// One group for each layer of the outermost model.
  ///
  /// - Throws: `Failure` where a layer's weights are missing.
  func layerGroups(of model: KerasModel) throws -> [KerasFile.LayerGroup] {
    try model.layers.map { try layerGroup($0, of: model) }
  }

  /// One group for each that holds variables, named by its path; of a model whose architecture is not known.
  ///
  /// - Throws: `Failure` where a variable's type is not known.
  func unknownLayerGroups() throws -> [KerasFile.LayerGroup] {
    let suffix = "/" + Self.variables
    var layers: [KerasFile.LayerGroup] = []
    for (path, dataset) in groups[""]?.allDatasets ?? [] {
      let holder = path.split(separator: "/").dropLast().joined(separator: "/")
      let name = holder.hasSuffix(suffix) ? String(holder.dropLast(suffix.count)) : holder
      let tensor = try StoredTensor(name: path, dataset)
      let before = layers.last?.name == name ? layers.removeLast().weights : []
      layers.append(KerasFile.LayerGroup(name: name, weights: before + [tensor]))
    }
    return layers
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
    let once = counted(layers, of: model, twice: false)
    let twice = counted(layers, of: model, twice: true)
    let counted = twice.count > once.count ? twice : once
    for entry in model.layers {
      guard let own = named[entry.name] ?? counted[entry.name] else { continue }
      groups[entry.path] = own
      if let inner = entry.model { collect(own, of: inner, into: &groups) }
      if let inner = entry.stepModel, let part = own.groups[stepPart] { collect(part, of: inner, into: &groups) }
    }
  }

  /// The groups of a model's layers by Keras's counting.
  ///
  /// - Parameter twice: Whether layers with weights count twice, as in TensorFlow 2.12 and 2.13, which came by each of them twice.
  private static func counted(_ layers: HDF5Group, of model: KerasModel, twice: Bool) -> [String: HDF5Group] {
    let classes = Dictionary(model.layers.map { ($0.name, $0.className) }) { first, _ in first }
    var counts: [String: Int] = [:]
    var groups: [String: HDF5Group] = [:]
    for name in KerasGroupNames.layers(of: model) {
      let base = KerasGroupNames.snakeCase(classes[name] ?? "")
      let number = counts[base] ?? 0
      groups[name] = layers.groups[KerasGroupNames.group(base, number)]
      counts[base] = number + (twice && groups[name]?.allDatasets.isEmpty == false ? 2 : 1)
    }
    return groups
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
    guard let config = file.modelConfig else {
      var root = groups[""] ?? HDF5Group()
      for tensor in file.layers.flatMap(\.weights) { root.insert(HDF5Dataset(tensor), at: tensor.name) }
      return root
    }
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
    return HDF5Group(groups: [Self.container: layers, Self.variables: Self.variables(model.name)])
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

extension KerasFile {
  /// Takes the layers' weights from a file of Keras 3's own layout: by the architecture, or by their paths where there is none.
  ///
  /// - Parameter root: tidied.
  /// - Throws: `Failure` where a layer's weights are missing.
  mutating func takeVariables(_ root: HDF5Group) throws -> KerasVariables {
    guard let config = modelConfig else {
      let variables = KerasVariables(unknown: root)
      layers = try variables.unknownLayerGroups()
      return variables
    }
    let model = try KerasModel(config)
    let variables = try KerasVariables(root, of: model)
    layers = try variables.layerGroups(of: model)
    return variables
  }
}

extension HDF5Dataset {
  /// A weight as the file holds it.
  fileprivate init(_ tensor: StoredTensor) {
    self.init(shape: tensor.shape, type: HDF5ElementType(tensor.dtype), bytes: tensor.bytes)
  }
}

extension HDF5Group {
  /// As deep as groups may be nested in one name.
  private static let maximumDepth = 32

  /// The group without attributes that are no text, and with members such as `layers\dense`, which TensorFlow writes on Windows, as
  /// members of `layers`.
  ///
  /// - Throws: `Failure` where a dataset holds no numbers.
  func tidied() throws -> HDF5Group {
    for (name, dataset) in datasets { _ = try StoredTensor(name: name, dataset) }
    var result = HDF5Group(attributes: attributes.filter { $0.value != .unsupported }, datasets: datasets)
    for (name, member) in groups {
      let parts = name.split(separator: "\\")
      let isPath = parts.count <= Self.maximumDepth && !parts.isEmpty
      result.insert(try member.tidied(), at: isPath ? parts.joined(separator: "/") : name)
    }
    return result
  }
}
