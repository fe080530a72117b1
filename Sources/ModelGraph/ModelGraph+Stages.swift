extension [Stage] {
  /// The stages as nodes of a graph, one after the other.
  ///
  /// The last node takes `name`, so that readers of the layer's value need not change; the others are `name/0`, `name/1`
  /// and so on. A bias right after a convolution becomes that convolution's own.
  ///
  /// - Parameters:
  ///   - factors: The weights of the convolutions, in order, each of its `kernelShape`.
  ///   - bias: The layer's bias, present exactly if the stages have one.
  public func nodes(
    name: String, layer: String, input: String, layout: ChannelLayout, factors: [TensorReference],
    bias: TensorReference?
  ) -> [Node] {
    precondition(factors.count == convolutions.count, "\(factors.count) factors for \(convolutions.count) convolutions")
    var remaining = factors[...]
    var operations: [Operation] = []
    for stage in self {
      switch stage {
      case .convolution(let convolution):
        operations.append(convolution.operation(layout, kernel: remaining.removeFirst(), bias: nil))
      case .permutation(let axes, let order):
        operations.append(.channelPermutation(axes: axes, order: order, layout: layout))
      case .bias:
        guard let bias else { preconditionFailure("stages with a bias need its tensor") }
        if let biased = operations.last?.withBias(bias) {
          operations[operations.count - 1] = biased
        } else {
          operations.append(.bias(bias, layout: layout))
        }
      }
    }
    if operations.isEmpty { operations = [.identity] }
    var value = input
    return operations.enumerated().map { index, operation in
      let own = index == operations.count - 1 ? name : "\(name)/\(index)"
      defer { value = own }
      return Node(name: own, layer: layer, operation: operation, inputs: [value])
    }
  }
}

extension ModelGraph {
  /// A network that is one factored layer: input `input`, output `output`.
  public init(
    stages: [Stage], layer: String, inputShape: [Int?], layout: ChannelLayout, factors: [TensorReference],
    bias: TensorReference?
  ) {
    self.init(
      inputs: [Input(name: "input", shape: inputShape)],
      nodes: stages.nodes(
        name: "output", layer: layer, input: "input", layout: layout, factors: factors, bias: bias),
      outputs: [Output(name: "output", value: "output")])
  }

  /// The network with every use of a convolution or linear layer computed by `stages`. Where a use adds no bias, another node adds the layer's.
  public func replacing(
    layer: String, with stages: [Stage], factors: [TensorReference], bias: TensorReference?
  ) -> ModelGraph {
    let nodes = nodes.flatMap { node in
      guard node.layer == layer, let layout = node.kernelLayout else { return [node] }
      let own = node.addsBias ? stages : stages.withoutBias
      return own.nodes(
        name: node.name, layer: layer, input: node.inputs[0], layout: layout, factors: factors,
        bias: node.addsBias ? bias : nil)
    }
    return ModelGraph(inputs: inputs, nodes: nodes, outputs: outputs)
  }
}

extension [Stage] {
  /// The stages that multiply and move, without the one that adds.
  fileprivate var withoutBias: [Stage] { filter { if case .bias = $0 { false } else { true } } }
}

extension Node {
  /// Whether the node adds a bias to what its kernel makes.
  fileprivate var addsBias: Bool {
    switch operation {
    case .convolution(_, _, _, let bias): bias != nil
    case .transposedConvolution(let convolution): convolution.bias != nil
    case .batchNormalization, .layerNormalization, .activation, .parametricReLU, .pooling, .globalPooling, .padding,
      .cropping, .upsampling, .merge, .reshape, .permutation, .scaling, .normalization, .repetition,
      .channelPermutation, .bias, .identity, .array, .unsupported:
      false
    }
  }
}
