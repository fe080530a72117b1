/// Who makes and who reads the values of a network. Nodes are given by their positions in `ModelGraph.nodes`.
public struct Wiring: Sendable {
  private let makers: [String: Int]
  private let readers: [String: [Int]]
  private let outputs: Set<String>
  private let nodeCount: Int

  /// The wiring takes one pass over the nodes.
  public init(_ graph: ModelGraph) {
    var makers: [String: Int] = [:]
    var readers: [String: [Int]] = [:]
    for (index, node) in graph.nodes.enumerated() {
      makers[node.name] = index
      for value in node.inputs { readers[value, default: []].append(index) }
    }
    self.makers = makers
    self.readers = readers
    outputs = Set(graph.outputs.map(\.value))
    nodeCount = graph.nodes.count
  }

  /// The node that makes the value; nil for an input of the network.
  public func maker(of value: String) -> Int? { makers[value] }

  /// The nodes that read the value, in their order, one entry for each operand.
  public func readers(of value: String) -> [Int] { readers[value] ?? [] }

  /// The last node that reads the value; nil where no node does.
  public func lastReader(of value: String) -> Int? { readers[value]?.last }

  /// Whether the network shows the value as an output.
  public func isOutput(_ value: String) -> Bool { outputs.contains(value) }

  /// The node that alone reads the value, once; nil where the value is read more often, or not at all, or is an output.
  public func onlyReader(of value: String) -> Int? {
    guard !isOutput(value), let readers = readers[value], readers.count == 1 else { return nil }
    return readers[0]
  }

  /// Whether node `index` or a later one reads the value, or the network shows it.
  public func isRead(_ value: String, from index: Int) -> Bool {
    isOutput(value) || lastReader(of: value).map { $0 >= index } ?? false
  }

  /// The values that no later node reads, for every node that is their last reader: without repetition and sorted by name. Outputs are never released.
  public var released: [[String]] {
    var released = Array(repeating: [String](), count: nodeCount)
    for (value, readers) in readers where !isOutput(value) {
      if let last = readers.last { released[last].append(value) }
    }
    return released.map { $0.sorted() }
  }
}
