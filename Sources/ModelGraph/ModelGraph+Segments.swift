extension ModelGraph {
  /// The values that are made before node `index` and read there or behind: where a network stands between two of its nodes.
  /// Constants are left out; whoever reads them makes them anew.
  public func values(crossing index: Int) -> [String] { values(crossing: index, Wiring(self)) }

  /// The same with the network's wiring, for whoever asks about many places.
  public func values(crossing index: Int, _ wiring: Wiring) -> [String] {
    let before = inputs.map(\.name) + nodes[..<index].filter { !$0.inputs.isEmpty }.map(\.name)
    return before.filter { wiring.isRead($0, from: index) }
  }

  /// The part of the network between two places, as a network of its own: from the values that cross the first to those that cross the
  /// second, or to the outputs where the second is the end.
  ///
  /// - Parameter shapes: of the values, as `shapes()` gives them.
  public func segment(_ range: Range<Int>, shapes: [String: [Int?]]) -> ModelGraph {
    let isLast = range.upperBound == nodes.count
    let results =
      isLast ? outputs : values(crossing: range.upperBound).map { Output(name: $0, value: $0) }
    let needed = Set(nodes[range].flatMap(\.inputs) + results.map(\.value))
    let constants = nodes[..<range.lowerBound].filter { $0.inputs.isEmpty && needed.contains($0.name) }
    return ModelGraph(
      inputs: values(crossing: range.lowerBound).map { Input(name: $0, shape: shapes[$0]) },
      nodes: constants + nodes[range], outputs: results)
  }

  /// The places at which every value that crosses has a known rank and one part for each sample, or is an input that all samples share, so
  /// that batches can be cut there; in order, the beginning first.
  ///
  /// - Parameter axes: Which axes of the values count the samples; nil where they cannot be told apart.
  public func placesBetweenSamples(_ axes: SampleAxes?) -> [Int] {
    guard let axes, let open = try? shapes() else { return [0] }
    let wiring = Wiring(self)
    let inputs = Set(inputs.map(\.name))
    return nodes.indices.filter { index in
      index == 0
        || values(crossing: index, wiring).allSatisfy { value in
          open[value] != nil && (axes.axis(of: value) != nil || inputs.contains(value))
        }
    }
  }
}
