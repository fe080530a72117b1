extension ModelGraph {
  /// The nodes that run as the end of the one before them and take no time of their own: what follows element by element on a convolution,
  /// a sum or another such node whose value nobody else reads. The engine does so, and so does every runtime for small devices.
  public func fusedNodes(shapes: [String: [Int?]]) -> Set<String> {
    var readers: [String: Int] = [:]
    for value in nodes.flatMap(\.inputs) + outputs.map(\.value) { readers[value, default: 0] += 1 }
    var fused: Set<String> = []
    var ends: [String: Finish] = [:]
    for node in nodes {
      let rank = shapes[node.name]?.count ?? 0
      if node.inputs.count == 1, readers[node.inputs[0]] == 1, let before = ends[node.inputs[0]],
        let joined = before.joined(by: node.operation, rank: rank)
      {
        fused.insert(node.name)
        ends[node.name] = joined
      } else {
        ends[node.name] = Finish(of: node.operation, rank: rank)
      }
    }
    return fused
  }
}

/// What has happened to a value since a node made it.
private struct Finish {
  /// The axis along which an affine function may still be applied; nil where none may.
  var channelAxis: Int?
  var hasActivation = false

  /// Nil where nothing can follow in the same pass.
  init?(of operation: Operation, rank: Int) {
    switch operation {
    case .convolution(let convolution, let layout, _, _) where convolution.takesFinish:
      channelAxis = convolution.spatialOrder == 0 ? rank - 1 : layout.channelAxis(rank: rank)
    case .transposedConvolution(let convolution):
      channelAxis = convolution.layout.channelAxis(rank: rank)
    case .merge(.concatenate), .merge(.dot):
      return nil
    case .merge:
      channelAxis = nil
    default:
      guard let affineAxis = operation.affineAxis(rank: rank) else {
        guard case .activation(let activation) = operation, activation.isElementwise else { return nil }
        hasActivation = activation != .linear
        return
      }
      channelAxis = affineAxis
    }
  }

  func joined(by operation: Operation, rank: Int) -> Finish? {
    if let axis = operation.affineAxis(rank: rank) { return !hasActivation && axis == channelAxis ? self : nil }
    guard case .activation(let activation) = operation, activation.isElementwise else { return nil }
    if activation == .linear { return self }
    guard !hasActivation else { return nil }
    var result = self
    result.hasActivation = true
    return result
  }
}

extension Operation {
  /// The channel axis of an operation that applies one affine function to each channel; nil for others.
  fileprivate func affineAxis(rank: Int) -> Int? {
    switch self {
    case .batchNormalization(let axis, _, _, _, _, _): axis < 0 ? axis + rank : axis
    case .bias(_, let layout): layout == .channelsLast ? rank - 1 : 1
    default: nil
    }
  }
}
