import Basics
import Checkpoints
import HDF5
import KerasLayers
import Synchronization
import TensorCore

/// The exact size of a Keras file with some layers replaced, from names, types and shapes alone.
///
/// A plan asks for it very many times, so the file without replacements is measured once, and only what a replacement changes
/// is measured anew.
struct KerasSizes: Sendable {
  private let graph: KerasGraph
  /// Places the weights of changed layers.
  private let weights: KerasWeightsEdit?
  /// The weights that every group of a `.h5` holds, by the group's name.
  private let groups: [String: KerasFile.LayerGroup]
  /// The HDF5 tree without replacements, configuration and record.
  private let tree: HDF5SizeTree
  private let variables: KerasVariableSizes?
  /// The length of the configuration's text without replacements, in bytes; nil where the file holds none.
  private let config: Int?

  /// - Throws: `Failure` where weights and configuration do not fit.
  init(_ graph: KerasGraph) throws {
    self.graph = graph
    var file = graph.file
    file.modelConfig = file.modelConfig.map(KerasShorterConfig.of)
    let architecture = graph.architecture
    let edit = architecture.map { KerasWeightsEdit([:], $0.weights, file) }
    weights = edit
    // What is written leaves out groups of layers that the model does not have.
    if let edit, let model = architecture?.model { file.layers = edit.groups(of: model) }
    groups = Dictionary(file.groupsWithWeights.map { ($0.name, $0) }) { first, _ in first }
    switch graph.container {
    case .hdf5: config = file.isWeightsOnly ? nil : file.modelConfig?.text().utf8.count
    case .variables: config = nil
    case .archive: config = file.architectureText?.utf8.count
    }
    (file.record, file.hasOptimizerState) = (nil, false)
    let root: HDF5Group
    switch graph.container {
    case .hdf5:
      let stated = file.modelConfig
      file.modelConfig = nil
      root = file.hdf5
      file.modelConfig = stated
      variables = nil
    case .variables(let content):
      root = try content.hdf5(of: file)
      variables = architecture.map { KerasVariableSizes($0.model, content) }
    case .archive(let archive):
      root = try archive.variables.hdf5(of: file)
      variables = architecture.map { KerasVariableSizes($0.model, archive.variables) }
    }
    var tree = HDF5SizeTree(root)
    _ = try tree.fileByteCount()
    self.tree = tree
  }

  /// The bytes of the file that is written with these replacements, which need no weights, and this record.
  ///
  /// - Throws: `Failure` where a layer cannot be replaced.
  /// - Complexity: O(replacements), and O(layers) with a small factor for the lists of names.
  func byteCount(_ replacements: [Replacement], record: JSON) throws -> Int {
    guard !replacements.isEmpty else { return try measured(replacements, record: record) }
    let growth = try replacements.filter(\.isDense).reduce(0) { try $0 + KerasKernelEdit($1, of: graph).growth }
    let changes = try KerasEditor(graph).changes(replacements).values.sorted { $0.entry.path < $1.entry.path }
    var tree = tree
    if var variables {
      for change in changes { variables.apply(change, to: &tree) }
    } else if !changes.isEmpty, !apply(changes, to: &tree) {
      return try measured(replacements, record: record)
    }
    let config = config.map { changes.reduce($0) { $0 + KerasModelEdit.growth($1) } }
    return try fileByteCount(&tree, growth, config: config, record: record.text().utf8.count)
  }

  /// The same from the whole file as it would be written.
  private func measured(_ replacements: [Replacement], record: JSON) throws -> Int {
    try graph.byteCount(replacing: replacements, record: record, counting: HDF5File.byteCount)
  }

  /// - Parameter growth: what arrays that keep their places add.
  private func fileByteCount(_ tree: inout HDF5SizeTree, _ growth: Int, config: Int?, record: Int) throws -> Int {
    switch graph.container {
    case .hdf5, .variables:
      tree.set(KerasFile.configAttribute, config.map { .string(byteCount: $0) })
      tree.set(KerasFile.recordAttribute, .string(byteCount: record))
      return try tree.fileByteCount() + growth
    case .archive(let archive):
      return archive.byteCount(config: config, record: record, weights: try tree.fileByteCount() + growth)
    }
  }

  // MARK: Groups named by layer

  private func tensorNames(of entry: KerasEntry) -> [String] {
    graph.architecture?.weights.byPath[entry.path]?.all.map(\.name) ?? []
  }

  /// - Returns: false where a list of names takes several attributes.
  private func apply(_ changes: [KerasEditor.Change], to tree: inout HDF5SizeTree) -> Bool {
    guard let weights else { return false }
    var removed: [String: Set<String>] = [:]
    var added: [String: [(path: String, array: HDF5SizeTree)]] = [:]
    for change in changes {
      let old = weights.group(of: change.outermost)
      let oldName = old?.name ?? change.outermost
      removed[oldName, default: []].formUnion(
        change.entry.prefix.isEmpty ? old?.weights.map(\.name) ?? [] : tensorNames(of: change.entry))
      for (part, name) in zip(change.parts, change.names) {
        let group = weights.groupName(of: name, of: change)
        added[group.isEmpty ? oldName : group, default: []] += weights.placed(part, name, of: change).map {
          ($1, HDF5SizeTree($0, in: change))
        }
      }
    }
    let section = graph.file.isWeightsOnly ? [] : [Substring(KerasFile.modelWeights)]
    for name in removed.values.joined() {
      let path = section + name.split(separator: "/")
      tree.edit(path.dropLast()) { $0[path.last.map(String.init) ?? ""] = nil }
    }
    var names = Set(groups.keys)
    for (group, arrays) in added {
      let gone = removed[group] ?? []
      let lengths =
        (groups[group]?.weights.map(\.name).filter { !gone.contains($0) } ?? []) + arrays.map(\.path)
      let place = section + group.split(separator: "/")
      guard !lengths.isEmpty else {
        names.remove(group)
        tree.edit(place.dropLast()) { $0[place.last.map(String.init) ?? ""] = nil }
        continue
      }
      names.insert(group)
      guard let list = KerasFile.listSize(lengths.map { $0.utf8.count - group.utf8.count - 1 }) else { return false }
      tree.edit(place) { $0.set(KerasFile.weightNames, list) }
      for (path, array) in arrays {
        let path = section + path.split(separator: "/")
        tree.edit(path.dropLast()) { $0[path.last.map(String.init) ?? ""] = array }
      }
    }
    guard let list = KerasFile.listSize(names.map(\.utf8.count)) else { return false }
    tree.edit(section) { $0.set(KerasFile.layerNames, list) }
    return true
  }
}

extension HDF5SizeTree {
  /// A weight of a part that stands in place of a layer.
  init(_ weight: KerasPart.Weight, in change: KerasEditor.Change) {
    let type = weight.coding(in: change.replacement)?.type ?? HDF5ElementType(weight.storedType(change.layer.dtype))
    self.init(HDF5Dataset(shape: weight.storedShape, type: type, bytes: []))
  }
}

/// Sizes that are prepared when they are asked for first: most commands never do.
final class KerasSizesCache: Sendable {
  private let sizes = Mutex<KerasSizes?>(nil)

  /// - Parameter graph: always the one that owns the cache.
  func sizes(of graph: KerasGraph) throws -> KerasSizes {
    try sizes.withLock { known in
      if let known { return known }
      let made = try KerasSizes(graph)
      known = made
      return made
    }
  }
}
