extension Node {
  /// Whether the node applies a kernel of a layer.
  package var holdsKernel: Bool { kernelLayout != nil }

  /// Where the channels of the node's input lie, for a node that applies a kernel; nil for any other.
  package var kernelLayout: ChannelLayout? {
    switch operation {
    case .convolution(_, let layout, _, _): layout
    case .transposedConvolution(let convolution): convolution.layout
    case .batchNormalization, .layerNormalization, .activation, .parametricReLU, .pooling, .globalPooling, .padding,
      .cropping, .upsampling, .merge, .reshape, .permutation, .scaling, .normalization, .repetition,
      .channelPermutation, .bias, .identity, .array, .unsupported:
      nil
    }
  }

  /// The spatial extents of the node's input; nil where one of them is open.
  ///
  /// - Precondition: The node applies a kernel.
  fileprivate func spatialExtents(_ shapes: [String: [Int?]]) -> [Int]? {
    guard let shape = shapes[inputs[0]], let layout = kernelLayout else { return nil }
    let extents = layout.spatialAxes(rank: shape.count).map { shape[$0] }
    let known = extents.compactMap(\.self)
    return known.count == extents.count ? known : nil
  }
}

extension ModelGraph {
  /// The nodes that use a kernel, by the kernel's layer.
  package var kernelNodes: [String: [Node]] { Dictionary(grouping: nodes.filter(\.holdsKernel), by: \.layer) }
}

extension Layer {
  /// The spatial input extents of every use of the layer, as `inputExtents` has them.
  ///
  /// - Parameters:
  ///   - nodes: Those that use the layer's kernel, in the graph's order.
  ///   - shapes: The shapes of the graph's values by their names, nil where an extent is open.
  package func inputExtents(at nodes: [Node], _ shapes: [String: [Int?]]) -> [[Int]?] {
    nodes.map { node in
      convolution.spatialOrder > 0 ? node.spatialExtents(shapes) : []
    }
  }
}
