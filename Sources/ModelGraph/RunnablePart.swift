/// A network up to the operations that are not run.
public struct RunnablePart: Sendable {
  /// What is run: with the outputs that do not depend on such operations, and what these operations would read.
  public let graph: ModelGraph
  /// Where the network stops, "layer 'lambda_1' (it holds code, which is never run)"; nil where it is run as a whole.
  public let stop: String?
}

extension ModelGraph {
  /// The part of the network that can be run; nil where no kernel is in it.
  ///
  /// What no output depends on stops nothing.
  public var runnablePart: RunnablePart? {
    guard unsupportedNode != nil else { return RunnablePart(graph: self, stop: nil) }
    let needed = ancestors(of: outputs.map(\.value))
    var unreached: Set<String> = []
    var stops: [Node] = []
    for node in nodes where needed.contains(node.name) {
      let isBehind = node.inputs.contains(where: unreached.contains)
      if case .unsupported = node.operation, !isBehind { stops.append(node) }
      if isBehind || node.operation.isUnsupported { unreached.insert(node.name) }
    }
    let made = Set(nodes.map(\.name))
    var shown = outputs.filter { !unreached.contains($0.value) }
    var taken = Set(shown.flatMap { [$0.name, $0.value] })
    for value in stops.flatMap(\.inputs) where made.contains(value) && taken.insert(value).inserted {
      shown.append(Output(name: value, value: value))
    }
    let computed = ancestors(of: shown.map(\.value))
    let part = ModelGraph(inputs: inputs, nodes: nodes.filter { computed.contains($0.name) }, outputs: shown)
    let read = Set(part.nodes.flatMap(\.inputs))
    guard part.nodes.contains(where: \.holdsKernel) else { return nil }
    return RunnablePart(
      graph: ModelGraph(inputs: inputs.filter { read.contains($0.name) }, nodes: part.nodes, outputs: shown),
      stop: stops.first.map { Self.text(of: $0, others: stops.count - 1) })
  }

  private static func text(of stop: Node, others: Int) -> String {
    guard case .unsupported(_, let reason) = stop.operation else { preconditionFailure("'\(stop.name)' is run") }
    return "layer '\(stop.layer)' (\(reason))" + (others > 0 ? " and \(others) others" : "")
  }

  /// The names of the nodes that values depend on, those that make them included.
  private func ancestors(of values: [String]) -> Set<String> {
    var found = Set(values)
    for node in nodes.reversed() where found.contains(node.name) { found.formUnion(node.inputs) }
    return found
  }
}

extension Operation {
  fileprivate var isUnsupported: Bool { if case .unsupported = self { true } else { false } }
}
