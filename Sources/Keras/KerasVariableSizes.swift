import HDF5
import KerasLayers

/// Where the variables of a changed layer stand in a file of Keras 3, and what else moves there: layers are named by their class
/// and a number.
struct KerasVariableSizes: Sendable {
  /// One model's layers.
  fileprivate struct Level: Sendable {
    /// The group that holds them.
    var path: [Substring]
    /// The name of each layer's group, by the layer's name, and the other way round.
    var keys: [String: String]
    var owners: [String: String]
    /// How many layers have a class, by the class's name in the file.
    var counts: [String: Int]
  }

  /// By what stands in front of the names of the model's layers; it changes with every layer that is replaced.
  private var levels: [String: Level] = [:]

  init(_ model: KerasModel, _ variables: KerasVariables) { add(model, prefix: "", [], variables) }

  private mutating func add(_ model: KerasModel, prefix: String, _ path: [Substring], _ variables: KerasVariables) {
    let names = KerasGroupNames.layers(of: model)
    let keys = KerasGroupNames.groups(of: model)
    let classes = Dictionary(model.layers.map { ($0.name, $0.className) }) { first, _ in first }
    let bases = names.compactMap { classes[$0].map(KerasGroupNames.snakeCase) }
    let level = Level(
      path: path + [Substring(KerasVariables.container)],
      keys: Dictionary(zip(names, keys)) { first, _ in first },
      owners: Dictionary(zip(keys, names)) { first, _ in first },
      counts: Dictionary(bases.map { ($0, 1) }, uniquingKeysWith: +))
    levels[prefix] = level
    for entry in model.layers {
      guard let inner = entry.model, let key = level.keys[entry.name] else { continue }
      add(inner, prefix: entry.path + "/", level.path + [Substring(key)], variables)
    }
  }

  /// Puts the parts in place of a layer. Which of several layers of a class has which number changes no size.
  mutating func apply(_ change: KerasEditor.Change, to tree: inout HDF5SizeTree) {
    guard var level = levels[change.entry.prefix], let key = level.keys[change.entry.name] else {
      preconditionFailure("'\(change.entry.path)' has no group of variables")
    }
    let parts = zip(change.parts, change.names).map { part, name in
      (base: KerasGroupNames.snakeCase(part.className), tree: Self.variables(of: part, name, in: change))
    }
    let old = KerasGroupNames.snakeCase(change.entry.className)
    tree.edit(level.path) { group in
      var rest = parts
      if let successor = rest.firstIndex(where: { $0.base == old }) {
        group[key] = rest.remove(at: successor).tree
      } else {
        level.removeLast(old, from: &group, replacing: key)
      }
      for (base, tree) in rest {
        let number = level.counts[base, default: 0]
        level.counts[base] = number + 1
        group[KerasGroupNames.group(base, number)] = tree
      }
    }
    levels[change.entry.prefix] = level
  }

  private static func variables(of part: KerasPart, _ name: String, in change: KerasEditor.Change) -> HDF5SizeTree {
    var variables = HDF5SizeTree()
    variables.set(KerasVariables.nameAttribute, .string(byteCount: name.utf8.count))
    for (number, weight) in part.weights.enumerated() {
      variables["\(number)"] = HDF5SizeTree(weight, in: change)
    }
    var group = HDF5SizeTree()
    group[KerasVariables.variables] = variables
    return group
  }
}

extension KerasVariableSizes.Level {
  /// Removes the group of a layer: that of the last layer of its class takes its place.
  fileprivate mutating func removeLast(_ base: String, from group: inout HDF5SizeTree, replacing key: String) {
    let number = counts[base, default: 1] - 1
    counts[base] = number
    let last = KerasGroupNames.group(base, number)
    let moved = group[last]
    group[last] = nil
    guard last != key else { return }
    group[key] = moved
    guard let owner = owners[last] else { return }
    keys[owner] = key
    owners[key] = owner
  }
}
