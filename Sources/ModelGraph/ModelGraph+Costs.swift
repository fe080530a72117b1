extension Node {
  /// Multiply-accumulates for these input shapes; nil where an extent that matters is open. Only operations with a kernel
  /// and dot products count, as usual: the others are not what takes the time.
  public func macs(inputs: [[Int?]]) -> Int? {
    if case .array(let operation) = operation { return operation.macs(operands: inputs) }
    guard let output = try? operation.outputShape(of: inputs), let input = inputs.first else { return nil }
    switch operation {
    case .convolution(let convolution, let layout, _, _):
      let channelAxis = convolution.channelAxis(layout, rank: output.count)
      return output.count(without: [channelAxis]).map { $0 * convolution.macsPerPosition }
    case .transposedConvolution(let convolution):
      let channelAxis = convolution.layout.channelAxis(rank: input.count)
      return input.count(without: [channelAxis]).map { $0 * convolution.kernelShape.reduce(1, *) }
    case .merge(let merge):
      switch merge {
      case .dot(let axes, _):
        guard let axis = axes.first.flatMap({ try? input.axis($0) }), let depth = input[axis] else { return nil }
        return output.count(without: []).map { $0 * depth }
      case .add, .subtract, .multiply, .average, .maximum, .minimum, .concatenate: return 0
      }
    case .batchNormalization, .layerNormalization, .activation, .parametricReLU, .pooling, .globalPooling, .padding,
      .cropping, .upsampling, .reshape, .permutation, .scaling, .normalization, .repetition, .channelPermutation,
      .bias, .identity:
      return 0
    case .array, .unsupported: preconditionFailure("operations of arrays and unknown ones are met before")
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
    case .einsum(let equation): return (try? equation.macs(operands)) ?? nil
    case .convolution(let convolution): return convolution.macs(operands)
    case .constant, .parameter, .elementwise, .function, .shape, .size, .reshape, .flatten, .squeeze, .unsqueeze,
      .transpose, .expand, .tile, .filled, .range, .slice, .gather, .concatenate, .part, .pad, .depthToSpace,
      .spaceToDepth, .reduce, .extremum, .resize, .trailingSoftmax, .align, .gatherElements, .gatherPoints,
      .scatterElements, .scatterPoints, .top, .reverse, .triangle, .cumulativeSum, .maximumPlace, .gridSample:
      return 0
    }
  }
}

extension ModelGraph {
  /// Multiply-accumulates of the whole network for one sample; nil where extents are open, or the network does not take one sample.
  ///
  /// - Throws: `Failure` that names the layer when an operation does not fit its inputs.
  public func macs() throws -> Int? {
    guard let shapes = try shapesOfOneSample() else { return nil }
    return nodes.reduce(0 as Int?) { total, node in
      let inputs = node.inputs.compactMap { shapes[$0] }
      guard let total, inputs.count == node.inputs.count, let macs = node.macs(inputs: inputs) else { return nil }
      return total + macs
    }
  }

  /// The most elements that are alive at once while one sample runs; nil where extents are open. See `ActivationMemory`.
  ///
  /// - Throws: `Failure` that names the layer when an operation does not fit its inputs.
  public func peakActivationCount() throws -> Int? { try ActivationMemory(self)?.peak }
}
