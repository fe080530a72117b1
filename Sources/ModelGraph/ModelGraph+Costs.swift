extension Node {
  /// Multiply-accumulates for these input shapes; nil where an extent that matters is open. Only operations with a kernel
  /// and dot products count, as usual: the others are not what takes the time.
  public func macs(inputs: [[Int?]]) -> Int? {
    if case .array(let operation) = operation { return operation.macs(operands: inputs) }
    guard let output = try? operation.outputShape(of: inputs), let input = inputs.first else { return nil }
    switch operation {
    case .convolution(let convolution, let layout, _, _):
      let channelAxis =
        convolution.spatialOrder == 0 ? output.count - 1 : layout.channelAxis(rank: output.count)
      return output.count(without: [channelAxis]).map { $0 * convolution.macsPerPosition }
    case .transposedConvolution(let convolution):
      let channelAxis = convolution.layout.channelAxis(rank: input.count)
      return input.count(without: [channelAxis]).map { $0 * convolution.kernelShape.reduce(1, *) }
    case .merge(.dot(let axes, _)):
      guard let axis = axes.first.flatMap({ try? input.axis($0) }), let depth = input[axis] else { return nil }
      return output.count(without: []).map { $0 * depth }
    default:
      return 0
    }
  }
}

extension ArrayOperation {
  /// Multiply-accumulates; nil where extents are open.
  fileprivate func macs(operands: [[Int?]]) -> Int? {
    switch self {
    case .matrixProduct:
      guard operands.count == 2, let output = try? Self.product(operands[0], operands[1]), let depth = operands[0].last
      else { return nil }
      return output.product.flatMap { count in depth.flatMap { [count, $0].productIfExact } }
    case .recurrent(let layer):
      guard let data = operands.first, data.count == 3, let steps = data[0], let batch = data[1], let features = data[2]
      else { return nil }
      return [
        steps, batch, layer.directions.count, layer.kind.gateCount, layer.hiddenCount, features + layer.hiddenCount,
      ].productIfExact
    default: return 0
    }
  }

  /// Whether the value is part of the model and no activation.
  fileprivate var isConstant: Bool {
    switch self {
    case .constant, .parameter: true
    default: false
    }
  }
}

extension Operation {
  fileprivate var isConstant: Bool { if case .array(let operation) = self { operation.isConstant } else { false } }
}

extension ModelGraph {
  /// Multiply-accumulates of the whole network for one sample; nil where extents are open.
  public func macs() throws -> Int? {
    let shapes = try shapes(batch: 1)
    return nodes.reduce(0 as Int?) { total, node in
      let inputs = node.inputs.compactMap { shapes[$0] }
      guard let total, inputs.count == node.inputs.count, let macs = node.macs(inputs: inputs) else { return nil }
      return total + macs
    }
  }

  /// The most elements that are alive at once while one sample runs through the nodes in their order; nil where extents
  /// are open.
  ///
  /// A value lives from the node that makes it to its last reader, the network's outputs to the end. An operation that
  /// works element by element overwrites an input that nobody reads later, as every runtime for small devices does.
  public func peakActivationCount() throws -> Int? {
    var shapes = try shapes(batch: 1)
    for node in nodes where node.operation.isConstant { shapes[node.name] = [0] }
    let lifetimes = Lifetimes(self)
    var alive = 0
    var peak = 0
    for input in inputs {
      guard let count = shapes[input.name]?.count(without: []) else { return nil }
      alive += count
    }
    peak = alive
    for (index, node) in nodes.enumerated() {
      guard let count = shapes[node.name]?.count(without: []) else { return nil }
      let released = lifetimes.released[index].reduce(0) { $0 + (shapes[$1]?.count(without: []) ?? 0) }
      let reuses =
        node.operation.isElementwise
        && lifetimes.released[index].contains { shapes[$0]?.count(without: []) == count }
      peak = max(peak, alive + (reuses ? 0 : count))
      alive += count - released
      peak = max(peak, alive)
    }
    return peak
  }
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

extension [Int?] {
  /// The product of the extents of all other axes, or nil where one is open or the product overflows.
  func count(without axes: Set<Int>) -> Int? {
    let extents = indices.filter { !axes.contains($0) }.compactMap { self[$0] }
    return extents.count == count - axes.count ? extents.productIfExact : nil
  }
}
