import ONNXProto

/// Who makes and who reads the values of a model's graph, and all names in it.
struct ONNXWiring: Sendable {
  /// For every name how often it is read: by nodes, the bodies of branches and loops included, and as an output.
  let readers: [String: Int]
  /// The positions of the initialisers by their names.
  let initializers: [String: Int]
  /// The positions of the sparse initialisers by their names.
  let sparse: [String: Int]
  /// The positions of the nodes by the names of their outputs.
  let makers: [String: Int]
  /// Every name of a value, those inside of branches and loops included.
  let names: Set<String>
  let nodeNames: Set<String>

  init(_ graph: Onnx_GraphProto) {
    var readers: [String: Int] = [:]
    var makers: [String: Int] = [:]
    for (index, node) in graph.node.enumerated() {
      for input in node.everyInput where !input.isEmpty { readers[input, default: 0] += 1 }
      for output in node.output where !output.isEmpty { makers[output] = index }
    }
    for output in graph.output { readers[output.name, default: 0] += 1 }
    self.readers = readers
    self.makers = makers
    initializers = Dictionary(graph.initializer.enumerated().map { ($1.name, $0) }) { first, _ in first }
    sparse = Dictionary(graph.sparseInitializer.enumerated().map { ($1.values.name, $0) }) { first, _ in first }
    names = Set(graph.everyName)
    nodeNames = Set(graph.node.map(\.name))
  }
}

extension Onnx_GraphProto {
  /// The names of all values, those of the bodies of branches and loops included.
  fileprivate var everyName: [String] {
    initializer.map(\.name) + sparseInitializer.map(\.values.name) + input.map(\.name) + output.map(\.name)
      + node.flatMap { $0.input + $0.output + $0.bodies.flatMap(\.everyName) }
  }
}

extension Onnx_NodeProto {
  /// The graphs inside of the node: branches, bodies of loops.
  var bodies: [Onnx_GraphProto] { attribute.flatMap { $0.graphs + ($0.hasG ? [$0.g] : []) } }

  /// What the node reads, the bodies of branches and loops included.
  var everyInput: [String] { input + bodies.flatMap { $0.node.flatMap(\.everyInput) + $0.output.map(\.name) } }
}
