/// How many elements are alive at once while one sample runs through a network's nodes in their order, and what becomes of it when stages
/// take the place of a layer.
///
/// A value lives from the node that makes it to its last reader, the network's outputs to the end. An operation that
/// works element by element overwrites an input that nobody reads later, as every runtime for small devices does. What is alive beside
/// a node does not depend on how the node computes, so that the layers' peaks are independent: the network's is the largest of them.
public struct ActivationMemory: Sendable {
  /// The most elements alive at once with every layer as it is.
  public let peak: Int

  private struct Step {
    let layer: String
    /// The most elements alive while the node runs.
    let peak: Int
    /// What stages could replace; nil for other nodes.
    let use: Use?
  }

  private struct Use {
    let layout: ChannelLayout
    let input: [Int]
    /// Alive beside the node's own values.
    let others: Int
    /// Whether nobody reads the input later.
    let releasesInput: Bool
  }

  private let steps: [Step]
  /// Alive before the first node.
  private let inputs: Int

  /// Counts the memory of a network; nil where the network leaves extents open, or does not take one sample.
  ///
  /// - Throws: `Failure` that names the layer when an operation does not fit its inputs.
  public init?(_ graph: ModelGraph) throws {
    guard let shapes = try graph.shapesOfOneSample() else { return nil }
    var counts: [String: Int] = [:]
    // What no machine holds counts as open, so that sums cannot overflow.
    for (name, shape) in shapes { counts[name] = shape.count(without: []).flatMap { $0 < 1 << 50 ? $0 : nil } }
    // Constants are weights.
    for node in graph.nodes where node.operation.isConstant { counts[node.name] = 0 }
    let released = Wiring(graph).released
    var alive = 0
    for input in graph.inputs {
      guard let count = counts[input.name] else { return nil }
      alive += count
    }
    inputs = alive
    var steps: [Step] = []
    for (index, node) in graph.nodes.enumerated() {
      guard let count = counts[node.name] else { return nil }
      let ends = released[index].map { name in
        guard let count = counts[name] else { preconditionFailure("'\(node.name)' has a shape, '\(name)' has none") }
        return (name: name, count: count)
      }
      let reuses = node.operation.isElementwise && ends.contains { $0.count == count }
      var use: Use?
      if let layout = node.kernelLayout, let input = node.inputs.first, let shape = shapes[input]?.known {
        let end = ends.first { $0.name == input }
        // What does not end here is one of the others.
        use = Use(layout: layout, input: shape, others: alive - (end?.count ?? 0), releasesInput: end != nil)
      }
      let freed = ends.reduce(0) { $0 + $1.count }
      let peak = max(alive + (reuses ? 0 : count), alive + count - freed)
      steps.append(Step(layer: node.layer, peak: peak, use: use))
      alive += count - freed
    }
    self.steps = steps
    peak = steps.reduce(inputs) { max($0, $1.peak) }
  }

  /// The most elements alive at once outside these layers' kernels, and the layer that is then running; the input's where there is none.
  public func peak(outside layers: Set<String>) -> (count: Int, layer: String?) {
    steps.reduce((inputs, nil)) { largest, step in
      (step.use == nil || !layers.contains(step.layer)) && step.peak > largest.0 ? (step.peak, step.layer) : largest
    }
  }

  /// The most elements alive at once while stages compute a layer, over all its uses; 0 for a layer that the graph does not use.
  ///
  /// - Precondition: the stages take the layer's place in the graph.
  public func peak(of layer: String, _ stages: [Stage]) -> Int {
    steps.filter { $0.layer == layer }.compactMap(\.use).reduce(0) { max($0, peak(of: stages, at: $1)) }
  }

  private func peak(of stages: [Stage], at use: Use) -> Int {
    var alive = use.others + (use.releasesInput ? use.input.reduce(1, *) : 0)
    var peak = alive
    for (index, step) in stages.steps(on: use.input, layout: use.layout).enumerated() {
      let count = step.output.reduce(1, *)
      let isFree = index > 0 || use.releasesInput
      let reuses = isFree && step.operation.isElementwise && step.input.reduce(1, *) == count
      peak = max(peak, alive + (reuses ? 0 : count))
      alive = use.others + count
    }
    return peak
  }
}
