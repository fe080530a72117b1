import Basics
import Safetensors

/// The state dicts in what a file holds: dictionaries whose values are tensors, wherever they lie.
struct TorchStateDicts {
  /// A state dict and the keys that lead to it.
  struct Group {
    let path: String
    var tensors: [(name: String, view: TorchView)]

    /// Whether it may be a network: numbers of more than one axis.
    var hasKernels: Bool { tensors.contains { $0.view.shape.count > 1 && $0.view.type.isFloatingPoint } }

    var isFloatingPoint: Bool { tensors.contains { $0.view.type.isFloatingPoint } }

    var parameterCount: Int { tensors.reduce(0) { $0 &+ ($1.view.byteCount ?? 0) / $1.view.type.byteCount } }
  }

  private let heap: PickleHeap
  private(set) var groups: [Group] = []
  /// Where an optimiser keeps what it remembers.
  private var optimizers: [String] = []
  /// The classes of objects that stay unread.
  private var classes: Set<String> = []
  private var visited: Set<Int> = []

  /// No training checkpoint lies deeper.
  private static let maximumDepth = 16

  /// Looks through a file.
  ///
  /// - Throws: `Failure` where it holds a module as an object.
  init(_ file: TorchFile) throws {
    heap = file.heap
    try walk(file.root, path: [])
  }

  private mutating func walk(_ value: PickleValue, path: [String]) throws {
    guard path.count <= Self.maximumDepth else { return }
    switch value {
    case .dictionary(let place):
      guard visited.insert(place).inserted, let entries = heap.entries(of: value) else { return }
      let keys = Set(entries.map(\.name))
      if keys.isSuperset(of: ["state", "param_groups"]) {
        optimizers.append(path.joined(separator: "."))
        return
      }
      var group = Group(path: path.joined(separator: "."), tensors: [])
      for (name, value) in entries {
        if case .tensor(let tensor) = value {
          group.tensors.append((name, heap.tensors[tensor]))
        } else {
          try walk(value, path: path + [name])
        }
      }
      if !group.tensors.isEmpty { groups.append(group) }
    case .sequence(let place):
      // Sequences and dictionaries are counted apart.
      guard visited.insert(-1 - place).inserted else { return }
      for (index, item) in heap.sequences[place].enumerated() { try walk(item, path: path + [String(index)]) }
    case .object(let place):
      let object = heap.objects[place]
      let attributes = Set((heap.entries(of: object.state) ?? []).map(\.name))
      if attributes.isSuperset(of: ["_parameters", "_modules"]) { throw PickleCalls.wholeModule(object.className) }
      classes.insert(object.className)
    case .none, .bool, .integer, .real, .text, .bytes, .unread, .global, .storage, .tensor: break
    }
  }

  /// The tensors of the network that is meant, under their own names, and what the user should know.
  ///
  /// - Parameter prefix: The keys that lead to it, and what its names begin with.
  /// - Throws: `Failure` where there is none, or several and none is chosen.
  func network(prefix: String?) throws -> (
    tensors: [(name: String, view: TorchView)], prefix: String?, notices: [String]
  ) {
    let candidates =
      groups.contains(where: \.hasKernels) ? groups.filter(\.hasKernels) : groups.filter(\.isFloatingPoint)
    guard !candidates.isEmpty else {
      throw Failure(
        "", "cannot be read", "it holds no state dict with weights",
        remedy: "save the model's state_dict() with torch.save")
    }
    var notices: [String] = []
    if !optimizers.isEmpty {
      notices.append("the optimiser's state is left out: it does not fit compressed weights")
    }
    if !classes.isEmpty {
      notices.append(
        "objects of \(classes.sorted().prefix(4).joined(separator: ", ")) are left out: reading them would run code")
    }
    if let prefix, !prefix.isEmpty {
      let all = groups.flatMap { group in
        group.tensors.map { (name: group.path.isEmpty ? $0.name : "\(group.path).\($0.name)", view: $0.view) }
      }
      let start = prefix.hasSuffix(".") ? prefix : prefix + "."
      if all.contains(where: { $0.name.hasPrefix(start) }) { return (all, prefix, notices) }
      if candidates.count == 1 { return (candidates[0].tensors, prefix, notices) }
      throw Failure(
        "--prefix '\(prefix)'", "matches nothing", "the file holds \(Self.list(candidates))",
        remedy: "choose one of them")
    }
    guard candidates.count == 1 else {
      throw Failure(
        "", "holds several networks", Self.list(candidates),
        remedy: "choose one: --prefix \(candidates[0].path.isEmpty ? candidates[1].path : candidates[0].path)")
    }
    let others = groups.filter { $0.path != candidates[0].path }.map(\.path)
    if !others.isEmpty || !candidates[0].path.isEmpty {
      notices.append(
        "the network is the state dict '\(candidates[0].path)'"
          + (others.isEmpty ? "" : "; \(Self.place(of: others)) are left out"))
    }
    return (candidates[0].tensors, nil, notices)
  }

  private static func place(of paths: [String]) -> String {
    let keys = paths.filter { !$0.isEmpty }.prefix(4).joined(separator: "', '")
    return keys.isEmpty ? "tensors beside it" : "tensors under '\(keys)'"
  }

  private static func list(_ groups: [Group]) -> String {
    groups.prefix(8).map { "'\($0.path)' (\($0.tensors.count) tensors, \($0.parameterCount) numbers)" }.joined(
      separator: ", ")
  }
}
