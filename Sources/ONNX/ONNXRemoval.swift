import ONNXProto

/// What goes away with something of a model: constants that nobody reads any more.
struct ONNXRemoval {
  private let model: ONNXModel
  /// The positions of nodes, initialisers and sparse initialisers that go away.
  private(set) var nodes: Set<Int> = []
  private(set) var initializers: Set<Int> = []
  private(set) var sparse: Set<Int> = []
  private(set) var initializerNames: Set<String> = []
  /// The names of all values that something else makes now, or nothing.
  private(set) var names: Set<String> = []
  /// Nodes of several outputs of which one is made otherwise now.
  private(set) var rewritten: [Int: Onnx_NodeProto] = [:]
  /// How often values are read less.
  private var released: [String: Int] = [:]

  init(_ model: ONNXModel) { self.model = model }

  /// Says that a value is read once less.
  mutating func release(_ name: String) {
    guard !name.isEmpty else { return }
    released[name, default: 0] += 1
    guard readers(of: name) == 0, !names.contains(name) else { return }
    let wiring = model.wiring
    if wiring.initializers[name] != nil || wiring.sparse[name] != nil || model.constant(named: name) != nil {
      removeMaker(of: name)
    }
  }

  /// Removes what makes a constant, because something else makes it now or nobody needs it, and what only that read.
  mutating func removeMaker(of name: String) {
    names.insert(name)
    if let index = model.wiring.initializers[name] {
      initializers.insert(index)
      initializerNames.insert(name)
    } else if let index = model.wiring.sparse[name] {
      sparse.insert(index)
      initializerNames.insert(name)
    } else if let index = model.wiring.makers[name], !nodes.contains(index) {
      let node = rewritten[index] ?? model.proto.graph.node[index]
      let isNeeded = node.output.contains { !$0.isEmpty && !names.contains($0) && readers(of: $0) > 0 }
      guard !isNeeded else {
        var node = node
        for place in node.output.indices where names.contains(node.output[place]) {
          var unused = node.output[place] + "/unused"
          while model.wiring.names.contains(unused) { unused += "_" }
          node.output[place] = unused
        }
        rewritten[index] = node
        return
      }
      nodes.insert(index)
      names.formUnion(model.proto.graph.node[index].output.filter { !$0.isEmpty })
      for input in node.everyInput { release(input) }
    }
  }

  private func readers(of name: String) -> Int { (model.wiring.readers[name] ?? 0) - (released[name] ?? 0) }
}
