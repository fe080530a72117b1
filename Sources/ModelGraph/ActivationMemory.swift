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
    let input: [Int?]
    /// Alive beside the node's own values.
    let others: Int
    /// Whether nobody reads the input later.
    let releasesInput: Bool
  }

  private let steps: [Step]
  /// Alive before the first node.
  private let inputs: Int

  /// Nil where the model leaves extents open.
  public init?(_ graph: ModelGraph) throws {
    var shapes = try graph.shapes(batch: 1)
    for node in graph.nodes where node.operation.isConstant { shapes[node.name] = [0] }
    var counts: [String: Int] = [:]
    // What no machine holds counts as open, so that sums cannot overflow.
    for (name, shape) in shapes { counts[name] = shape.count(without: []).flatMap { $0 < 1 << 50 ? $0 : nil } }
    let lifetimes = Lifetimes(graph)
    var alive = 0
    for input in graph.inputs {
      guard let count = counts[input.name] else { return nil }
      alive += count
    }
    inputs = alive
    var steps: [Step] = []
    for (index, node) in graph.nodes.enumerated() {
      guard let count = counts[node.name] else { return nil }
      let ends = lifetimes.released[index]
      let reuses = node.operation.isElementwise && ends.contains { counts[$0] == count }
      var use: Use?
      if case .convolution(_, let layout, _, _) = node.operation, let input = node.inputs.first,
        let shape = shapes[input]
      {
        let isReleased = ends.contains(input)
        use = Use(
          layout: layout, input: shape, others: alive - (isReleased ? counts[input] ?? 0 : 0), releasesInput: isReleased
        )
      }
      let released = ends.reduce(0) { $0 + (counts[$1] ?? 0) }
      let peak = max(alive + (reuses ? 0 : count), alive + count - released)
      steps.append(Step(layer: node.layer, peak: peak, use: use))
      alive += count - released
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
    let any = TensorReference("")
    let nodes = stages.nodes(
      name: "", layer: "", input: "", layout: use.layout, factors: stages.convolutions.map { _ in any },
      bias: stages.hasBias ? any : nil)
    var shape = use.input
    var alive = use.others + (use.releasesInput ? shape.count(without: []) ?? 0 : 0)
    var peak = alive
    for (index, node) in nodes.enumerated() {
      guard let output = try? node.operation.outputShape(of: [shape]), let count = output.count(without: []) else {
        preconditionFailure("\(node.operation) does not take \(shape)")
      }
      let isFree = index > 0 || use.releasesInput
      let reuses = isFree && node.operation.isElementwise && shape.count(without: []) == count
      peak = max(peak, alive + (reuses ? 0 : count))
      alive = use.others + count
      shape = output
    }
    return peak
  }
}

extension [Stage] {
  /// Whether the stages add a bias.
  public var hasBias: Bool { contains { if case .bias = $0 { true } else { false } } }
}

extension ModelGraph {
  /// The most elements that are alive at once while one sample runs; nil where extents are open. See `ActivationMemory`.
  public func peakActivationCount() throws -> Int? { try ActivationMemory(self)?.peak }
}

/// Which values no later node reads.
public struct Lifetimes: Sendable {
  /// For every node, the values whose last reader it is, without repetition.
  public let released: [[String]]

  public init(_ graph: ModelGraph) {
    let kept = Set(graph.outputs.map(\.value))
    var lastReader: [String: Int] = [:]
    for (index, node) in graph.nodes.enumerated() {
      for input in node.inputs { lastReader[input] = index }
    }
    var released = Array(repeating: [String](), count: graph.nodes.count)
    for (value, reader) in lastReader where !kept.contains(value) { released[reader].append(value) }
    self.released = released.map { $0.sorted() }
  }
}

extension Operation {
  /// Whether every output element depends on the input elements at its own place (or order) only.
  public var isElementwise: Bool {
    switch self {
    case .batchNormalization, .parametricReLU, .reshape, .scaling, .normalization, .bias, .identity: true
    case .activation(let activation): activation.isElementwise
    case .merge(.concatenate), .merge(.dot): false
    case .merge: true
    case .array(let operation):
      switch operation {
      case .elementwise, .function, .reshape, .flatten, .squeeze, .unsqueeze: true
      default: false
      }
    default: false
    }
  }
}

extension Activation {
  /// Whether the function needs no neighbour.
  public var isElementwise: Bool {
    switch self {
    case .softmax, .logSoftmax, .sparsemax, .glu: false
    default: true
    }
  }
}

extension Operation {
  /// Whether the value is part of the model and no activation.
  fileprivate var isConstant: Bool {
    switch self {
    case .array(.constant), .array(.parameter): true
    default: false
    }
  }
}
