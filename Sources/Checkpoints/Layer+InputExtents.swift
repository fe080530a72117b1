import ModelGraph

extension Node {
  var holdsKernel: Bool {
    switch operation {
    case .convolution, .transposedConvolution: true
    default: false
    }
  }
}

extension ModelGraph {
  /// The nodes that use a kernel, by the kernel's layer.
  var kernelNodes: [String: [Node]] { Dictionary(grouping: nodes.filter(\.holdsKernel), by: \.layer) }
}

extension Layer {
  /// The spatial extents at every use of the layer.
  ///
  /// - Parameters:
  ///   - nodes: those that use the layer's kernel, in the graph's order.
  ///   - shapes: of every value.
  func inputExtents(at nodes: [Node], _ shapes: [String: [Int?]]) -> [[Int]?] {
    nodes.compactMap { node -> [Int]?? in
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
