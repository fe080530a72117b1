import Basics
import ModelGraph
import TensorCore

/// LSTMs whose products are convolutions. The graph has nodes of their own for every step.
extension KerasLayerType {
  static let convolutionalRecurrent: [String: KerasLayerType] = Dictionary(
    uniqueKeysWithValues: (1...3).map { order in
      (
        "ConvLSTM\(order)D",
        KerasLayerType(
          weightNames: { layer in
            KerasWeightNames(trainable: (["kernel", "recurrent_kernel"] + layer.biasName).map { "cell/" + $0 })
          },
          layers: { try KerasConvolutionalLSTM($0, order).kernels() },
          expansion: { try KerasConvolutionalLSTM($0.layer, order).expanded(&$0) })
      )
    })
}

/// One such layer.
private struct KerasConvolutionalLSTM {
  private let layer: KerasLayer
  private let order: Int
  private let filters: Int
  private let layout: ChannelLayout

  /// Steps beyond this would make a graph that nobody can handle.
  private static let mostSteps = 256

  init(_ layer: KerasLayer, _ order: Int) throws {
    self.layer = layer
    self.order = order
    filters = try layer.integer("filters")
    layout = try layer.layout()
  }

  func kernels() throws -> [Layer] {
    try ["cell/kernel", "cell/recurrent_kernel"].map { name in
      let convolution = try convolution(name)
      return Layer(
        name: layer.path + "/" + name, kind: .convolution, kernel: convolution.kernel, bias: nil,
        dtype: convolution.stored.dtype, convolution: convolution.convolution,
        refusal: "Keras keeps it inside its recurrent layer")
    }
  }

  /// A kernel, stored (spatial..., in, 4 * filters), and how it moves: over the input as configured, over the state so that it keeps its size.
  private func convolution(_ name: String) throws -> (
    convolution: Convolution, kernel: TensorReference, stored: StoredTensor
  ) {
    let size = try layer.extents("kernel_size", order)
    let isInput = name == "cell/kernel"
    let stored = try layer.weight(name, size + [isInput ? nil : filters, 4 * filters])
    var window = isInput ? try layer.window(order) : .unit(order)
    if !isInput { window.padding = .same }
    return (
      Convolution(kernelShape: [4 * filters, stored.shape[order]] + size, window: window),
      TensorReference(stored.name, permutation: .kernelLast(order)), stored
    )
  }

  func expanded(_ use: inout KerasUse) throws -> [String] {
    guard !layer.bool("stateful", default: false) else {
      throw layer.failure("cannot be run", "it is stateful: what it gives depends on the samples before")
    }
    let inputs = (use.arguments.first?.leaves ?? []).compactMap {
      if case .value(let value) = $0 { value } else { nil }
    }
    guard let data = inputs.first else { throw layer.withoutInput }
    let rank = try use.rank(of: data)
    guard rank == order + 3 else { throw layer.failure("cannot be run", "its input has \(rank) axes") }
    let steps = try use.extent(1, of: data)
    guard (1...Self.mostSteps).contains(steps) else {
      throw layer.failure("cannot be run", "its sequence has \(steps) steps, more than \(Self.mostSteps)")
    }
    let mask = try use.ownMask(2, of: data)
    let products = try products(of: data, &use)
    let channels = layout.channelAxis(rank: rank - 1)
    let (gate, function) = (try layer.activation("recurrent_activation"), try layer.activation("activation"))
    let recurrent = try convolution("cell/recurrent_kernel")
    var states =
      Array(inputs.dropFirst())
      + (use.argument(1, "initial_state")?.leaves ?? []).compactMap {
        if case .value(let value) = $0 { value } else { nil }
      }
    guard states.isEmpty || states.count == 2 else {
      throw layer.failure("cannot be run", "it is given \(states.count) initial states")
    }
    var outputs: [String] = []
    let order = Array(0..<steps)
    for step in layer.bool("go_backwards", default: false) ? order.reversed() : order {
      var sum = use.entry(step, of: products, axis: 1)
      if let state = states.first {
        let product = use.append(
          .convolution(recurrent.convolution, layout: layout, kernel: recurrent.kernel, bias: nil), [state])
        sum = use.elementwise(.add, sum, product)
      }
      func part(_ index: Int, _ activation: Activation) -> String {
        use.activated(use.append(.part(axis: channels, index: index, count: 4), [sum]), activation)
      }
      var cell = use.elementwise(.multiply, part(0, gate), part(2, function))
      if states.count > 1 {
        cell = use.elementwise(.add, use.elementwise(.multiply, part(1, gate), states[1]), cell)
      }
      var state = use.elementwise(.multiply, part(3, gate), use.activated(cell, function))
      var output = state
      if let mask {
        let counts = try use.spread(use.entry(step, of: mask, axis: 1), to: state)
        let none = use.scalar(0)
        let zeroes = layer.bool("zero_output_for_mask", default: false)
        output = use.select(counts, state, otherwise: zeroes ? none : outputs.last ?? none)
        state = use.select(counts, state, otherwise: states.first ?? none)
        cell = use.select(counts, cell, otherwise: states.count > 1 ? states[1] : none)
      }
      states = [state, cell]
      outputs.append(output)
    }
    var result = outputs[outputs.count - 1]
    if layer.bool("return_sequences", default: false) {
      result = use.append(.concatenate(axis: 1), outputs.map { use.expand($0, axes: [1]) })
      use.setMask(mask, of: result)
    }
    return [result] + (layer.bool("return_state", default: false) ? states : [])
  }

  /// The products of all steps with the input's kernel: (batch, steps, ...).
  private func products(of data: String, _ use: inout KerasUse) throws -> String {
    let rank = order + 3
    let folded = try use.reshape(data, [.extents(data, [0, 1])] + (2..<rank).map { .extents(data, [$0]) })
    let (convolution, kernel, _) = try convolution("cell/kernel")
    let bias = try layer.reference("cell/bias", [4 * filters], if: !layer.biasName.isEmpty)
    let product = use.append(.convolution(convolution, layout: layout, kernel: kernel, bias: bias), [folded])
    return try use.reshape(
      product, [.extents(data, [0]), .extents(data, [1])] + (1..<rank - 1).map { .extents(product, [$0]) })
  }
}
