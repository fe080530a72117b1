extension ModelGraph {
  /// What every node does for one sample: nothing for one that runs as the end of another or only changes a shape. Nil where the model
  /// leaves extents open.
  ///
  /// - Parameter shapes: of the values, as `shapes(batch: 1)` gives them.
  public func work(shapes: [String: [Int?]]) -> [[NodeWork]]? {
    let fused = fusedNodes(shapes: shapes)
    var result: [[NodeWork]] = []
    for node in nodes {
      let values = node.inputs + [node.name]
      let known = values.compactMap { shapes[$0]?.known }
      guard known.count == values.count else { return nil }
      result.append(
        fused.contains(node.name) ? [] : node.work(inputs: known.dropLast(), output: known[known.count - 1]))
    }
    return result
  }
}
