import ModelGraph
import TensorCore

/// What a layer of a changed network sees, y, and what it should make of it, t: what it gives in the original network, and where its
/// output is added to another value, what makes up for the error of that one too.
struct LayerAim: Sendable {
  /// E[y y^T] and E[t y^T], less the products of the means where an offset makes up for these.
  let second: Tensor<Double>
  let cross: Tensor<Double>
  /// E[y] and E[t], the layer's bias not counted.
  let inputMean: [Double]
  let outputMean: [Double]

  /// What a layer with this kernel lacks in the mean of its outputs, channel by channel.
  func shortfall(of kernel: Tensor<Double>) -> [Double] {
    let patch = inputMean.count
    return outputMean.indices.map { channel in
      (0..<patch).reduce(outputMean[channel]) { $0 - kernel.elements[channel * patch + $1] * inputMean[$1] }
    }
  }
}

extension GraphCalibration {
  /// - Parameters:
  ///   - kernel: the layer's own, to which little data says that it should stay close.
  ///   - isCentered: whether an offset makes up for the means.
  func aim(
    of node: Int, kernel: Tensor<Double>, original: NetworkState, changed: NetworkState,
    _ changedWeights: NetworkWeights,
    isCentered: Bool
  ) throws -> LayerAim {
    let moments = try moments(
      of: node, input: changed.value(graph.nodes[node].inputs[0], changedWeights),
      outputs: wantedOutput(of: node, original, changed, changedWeights))
    let (input, output) = (moments.inputMean, moments.outputMean)
    let second = isCentered ? moments.second.centered(input, input) : moments.second
    let cross = isCentered ? moments.crossing.centered(output, input) : moments.crossing
    let ridge = ridge(second)
    let rows = kernel.reshaped(cross.shape)
    return LayerAim(
      second: second.addingToDiagonal(ridge),
      cross: Tensor(shape: cross.shape, elements: zip(cross.elements, rows.elements).map { $0 + ridge * $1 }),
      inputMean: input, outputMean: output)
  }

  private func wantedOutput(
    of node: Int, _ original: NetworkState, _ changed: NetworkState, _ changedWeights: NetworkWeights
  ) throws -> Tensor<Float> {
    guard case .convolution(let convolution, let layout, _, let bias) = graph.nodes[node].operation else {
      preconditionFailure("only convolutions are refitted")
    }
    var wanted = try original.value(graph.nodes[node].name, weights)
    let axis = convolution.channelAxis(layout, rank: wanted.order)
    if let bias { wanted = wanted.combined(with: try weights[bias].elements, along: axis) { $0 - $1 } }
    guard let junction = try junction(behind: node, channels: convolution.outputChannels, axis: axis, of: wanted.order)
    else {
      return wanted
    }
    for other in junction.others {
      let (here, there) = (try original.value(other, weights), try changed.value(other, changedWeights))
      guard here.shape == wanted.shape else { return wanted }
      wanted = wanted.adding(here.subtracting(there).combined(with: junction.scale, along: axis) { $0 / $1 })
    }
    return wanted
  }

  /// Where a layer's output, scaled, is added to other values.
  private struct Junction {
    let others: [String]
    /// What happens to the output's channels on the way.
    let scale: [Float]
  }

  /// Channels that hardly reach the junction cannot make up for anything there.
  private static let leastScale: Float = 0.05

  private func junction(behind node: Int, channels: Int, axis: Int, of order: Int) throws -> Junction? {
    var (name, scale) = (graph.nodes[node].name, [Float](repeating: 1, count: channels))
    let wiring = Wiring(graph)
    while true {
      guard let reader = wiring.onlyReader(of: name).map({ graph.nodes[$0] }) else { return nil }
      switch reader.operation.channelEffect(rank: order) {
      case .scaled(let place):
        guard place == axis,
          let own = try reader.operation.normalizationScale({ try weights[$0] }), own.count == channels
        else { return nil }
        for i in scale.indices { scale[i] *= own[i] }
      case .kept: break
      case .added:
        let others = reader.inputs.filter { $0 != name }
        guard others.count == reader.inputs.count - 1 else { return nil }
        guard let least = scale.map({ Self.leastScale * abs($0) }).max(), least > 0 else { return nil }
        return Junction(others: others, scale: scale.map { abs($0) < least ? ($0 < 0 ? -least : least) : $0 })
      case .other: return nil
      }
      name = reader.name
    }
  }
}
