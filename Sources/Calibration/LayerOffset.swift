import ModelGraph
import TensorCore

/// The tensor that shifts a layer's output channel by channel: its bias, or the mean of a batch normalisation right behind it. So what
/// compression does to the mean of the output is made up for exactly, and the fit has its ranks for the rest.
struct LayerOffset: Sendable {
  let tensor: TensorReference
  /// A larger mean makes the output smaller.
  let isMean: Bool

  /// The tensor's values after the output fell short by these.
  func corrected(_ values: Tensor<Float>, shortfall: [Double]) -> Tensor<Double> {
    Tensor(
      shape: values.shape,
      elements: zip(values.elements, shortfall).map { Double($0) + (isMean ? -$1 : $1) })
  }
}

extension GraphCalibration {
  /// The network with one layer changed, its offset making up for what that does to the mean of the output on the layer's own inputs.
  ///
  /// - Parameter mean: of the input patches; nil leaves the offset.
  func weights(with kernel: Tensor<Double>, of layer: Layer, insteadOf own: Tensor<Double>, mean: [Double]?) throws
    -> NetworkWeights
  {
    let changed = weights.replacing(layer, by: kernel)
    guard let mean, let (offset, values) = try meanOffset(of: layer, for: kernel, insteadOf: own, mean: mean) else {
      return changed
    }
    return changed.replacing(offset.tensor, by: values)
  }

  /// What shifts the layer's output, with the values that make up for what another kernel does to its mean; nil where nothing
  /// shifts it.
  func meanOffset(
    of layer: Layer, for kernel: Tensor<Double>, insteadOf own: Tensor<Double>, mean: [Double]
  ) throws -> (LayerOffset, values: Tensor<Double>)? {
    guard let offset = try offset(of: layer) else { return nil }
    let patch = mean.count
    let shortfall = (0..<kernel.shape[0]).map { channel in
      (0..<patch).reduce(0.0) { sum, i in
        sum + (own.elements[channel * patch + i] - kernel.elements[channel * patch + i]) * mean[i]
      }
    }
    return (offset, offset.corrected(try weights[offset.tensor], shortfall: shortfall))
  }

  /// The bias of the layer, or the mean of the batch normalisation behind it; nil where there is neither, or where others use it
  /// too.
  func offset(of layer: Layer) throws -> LayerOffset? {
    let uses = uses(of: layer)
    guard uses.count == 1, case .convolution(let convolution, let layout, _, let bias) = graph.nodes[uses[0]].operation
    else { return nil }
    let reader = Wiring(graph).onlyReader(of: graph.nodes[uses[0]].name)
    var offset: LayerOffset?
    if let bias {
      offset = LayerOffset(tensor: bias, isMean: false)
    } else if let reader, case .batchNormalization(let axis, _, _, _, let mean, _) = graph.nodes[reader].operation {
      let rank = convolution.spatialOrder + 2
      if axis.normalizedAxis(rank: rank) == convolution.channelAxis(layout, rank: rank) {
        offset = LayerOffset(tensor: mean, isMean: true)
      }
    }
    guard let offset, nodes(using: offset.tensor).count == 1,
      try weights[offset.tensor].count == convolution.outputChannels
    else { return nil }
    return offset
  }
}
