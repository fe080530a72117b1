import ModelGraph
import TensorCore

/// Reductions, normalisations and recurrent layers.
extension ONNXOperators {
  static let reductions: [String: Converter] = [
    "ReduceSum": reduce(.sum), "ReduceMean": reduce(.mean), "ReduceMax": reduce(.maximum),
    "ReduceMin": reduce(.minimum), "ReduceProd": reduce(.product), "ReduceL1": reduce(.l1), "ReduceL2": reduce(.l2),
    "ReduceSumSquare": reduce(.sumOfSquares), "ReduceLogSum": reduce(.logOfSum),
    "ReduceLogSumExp": reduce(.logOfSumOfExponentials),
    "ArgMax": extremum(largest: true), "ArgMin": extremum(largest: false),
  ]

  private static func reduce(_ kind: Reduction) -> Converter {
    { conversion in
      let axes = try conversion.parameterOperand(1, orAttribute: "axes")
      conversion.emit(
        .reduce(
          kind, keepsAxes: conversion.node.int("keepdims", default: 1) != 0,
          ignoresMissingAxes: conversion.node.int("noop_with_empty_axes", default: 0) != 0),
        [try conversion.operand(0)] + (axes.map { [$0] } ?? []))
    }
  }

  private static func extremum(largest: Bool) -> Converter {
    { conversion in
      guard conversion.node.int("select_last_index", default: 0) == 0 else {
        return conversion.refuse("of the last of equals")
      }
      conversion.emit(
        .extremum(
          axis: conversion.node.int("axis", default: 0), largest: largest,
          keepsAxis: conversion.node.int("keepdims", default: 1) != 0), [try conversion.operand(0)])
    }
  }

  static let normalizations: [String: Converter] = [
    "BatchNormalization": { conversion in
      let node = conversion.node
      guard conversion.output(1) == nil, node.int("training_mode", default: 0) == 0 else {
        return conversion.refuse("in training mode")
      }
      let parameters = (1...4).compactMap { node.vector($0) }
      guard parameters.count == 4 else { return conversion.refuse("whose parameters other nodes compute") }
      conversion.emit(
        .batchNormalization(
          axis: 1, epsilon: node.float("epsilon", default: 1e-5), gamma: parameters[0], beta: parameters[1],
          mean: parameters[2], variance: parameters[3]), [try conversion.operand(0)])
    },
    "InstanceNormalization": { conversion in
      let node = conversion.node
      guard let scale = node.constant(1), let offset = node.constant(2),
        scale.shape.reduce(1, *) == offset.shape.reduce(1, *)
      else {
        return conversion.refuse("whose parameters other nodes compute")
      }
      // Over every channel's plane; then one factor and one offset for each channel, as a batch normalisation without
      // statistics of its own.
      let input = try conversion.operand(0)
      let data = conversion.intermediate(
        "planes", .array(.reshape(keepsZero: false)), [input, conversion.literal([0, 0, -1])])
      let normal = conversion.intermediate(
        "normal",
        .layerNormalization(axes: [2], epsilon: node.float("epsilon", default: 1e-5), gamma: nil, beta: nil), [data])
      let channels = scale.shape.reduce(1, *)
      func spread(_ constant: ONNXConstant, _ part: String) -> String {
        conversion.intermediate(part, .array(.parameter(constant.reference, shape: [channels, 1])), [])
      }
      let scaled = conversion.intermediate(
        "scaled", .array(.elementwise(.multiply)), [normal, spread(scale, "scale")])
      let shifted = conversion.intermediate(
        "shifted", .array(.elementwise(.add)), [scaled, spread(offset, "offset")])
      let shape = conversion.intermediate("shape", .array(.shape(axes: 0..<64)), [input])
      conversion.emit(.reshape(keepsZero: false), [shifted, shape])
    },
    "LayerNormalization": { conversion in
      let node = conversion.node
      let axis = node.int("axis", default: -1)
      guard let scale = node.constant(1), conversion.output(1) == nil, node.input(2) == nil || node.constant(2) != nil
      else { return conversion.refuse("whose parameters other nodes compute, or whose statistics are used") }
      let count = axis < 0 ? -axis : scale.shape.count
      conversion.emit(
        .layerNormalization(
          axes: Array((-count)...(-1)), epsilon: node.float("epsilon", default: 1e-5),
          gamma: scale.reference, beta: node.constant(2)?.reference),
        [try conversion.operand(0)])
    },
  ]

  static let recurrent: [String: Converter] = [
    "LSTM": recurrentLayer(.lstm), "GRU": recurrentLayer(.gru), "RNN": recurrentLayer(.rnn),
  ]

  private static func recurrentLayer(_ kind: RecurrentLayer.Kind) -> Converter {
    { conversion in
      let node = conversion.node
      guard let weights = node.constant(1), let hidden = node.constant(2),
        node.input(3) == nil || node.constant(3) != nil
      else { return conversion.refuse("whose weights other nodes compute") }
      let usual = kind == .lstm ? ["Sigmoid", "Tanh", "Tanh"] : kind == .gru ? ["Sigmoid", "Tanh"] : ["Tanh"]
      let directions: [Bool]
      switch node.text("direction", default: "forward") {
      case "forward": directions = [false]
      case "reverse": directions = [true]
      case "bidirectional": directions = [false, true]
      case let other: return conversion.refuse("in the direction '\(other)'")
      }
      let functions = node.texts("activations") ?? []
      guard functions.isEmpty || functions == Array(repeating: usual, count: directions.count).flatMap(\.self),
        node.proto.attribute(named: "clip") == nil, node.int("layout", default: 0) == 0,
        node.int("input_forget", default: 0) == 0, node.input(4) == nil, node.input(7) == nil
      else {
        return conversion.refuse("with other activations, clipping, peepholes, sequence lengths or the batch first")
      }
      guard weights.shape.count == 3, hidden.shape.count == 3,
        node.int("hidden_size", default: hidden.shape[2]) == hidden.shape[2]
      else { throw node.failure("weights of \(weights.shape) and \(hidden.shape) do not fit its hidden_size") }
      let states = try [5, 6].compactMap { index in try node.input(index).map { try conversion.builder.operand($0) } }
      guard states.isEmpty || node.input(5) != nil else { return conversion.refuse("with a cell state alone") }
      for (index, result) in [RecurrentLayer.Result.sequence, .hidden, .cell].enumerated() {
        guard let output = conversion.output(index) else { continue }
        conversion.builder.append(
          output, layer: node.name,
          .array(
            .recurrent(
              RecurrentLayer(
                kind: kind, hiddenCount: hidden.shape[2],
                directions: directions, inputWeights: weights.reference,
                hiddenWeights: hidden.reference, bias: node.constant(3)?.reference,
                resetsAfterProduct: node.int("linear_before_reset", default: 0) != 0,
                hasInitialState: !states.isEmpty, result: result))),
          [try conversion.operand(0)] + states)
      }
    }
  }
}
