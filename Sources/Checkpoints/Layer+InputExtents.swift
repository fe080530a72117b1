import ModelGraph

extension Node {
  var holdsKernel: Bool {
    switch operation {
    case .convolution, .transposedConvolution: true
    default: false
    }
  }
}

extension Layer {
  /// The spatial extents at every use of the layer.
  func inputExtents(in graph: ModelGraph, _ shapes: [String: [Int?]]) -> [[Int]?] {
    graph.nodes.compactMap { node -> [Int]?? in
      guard node.layer == name, node.holdsKernel else { return nil }
      guard convolution.spatialOrder > 0 else { return .some([]) }
      guard let shape = shapes[node.inputs[0]], let layout = node.layout else { return .some(nil) }
      let extents = layout.spatialAxes(rank: shape.count).map { shape[$0] }
      let known = extents.compactMap(\.self)
      return .some(known.count == extents.count ? known : nil)
    }
  }
}

extension Node {
  fileprivate var layout: ChannelLayout? {
    switch operation {
    case .convolution(_, let layout, _, _): layout
    case .transposedConvolution(let convolution): convolution.layout
    default: nil
    }
  }
}
