import ModelGraph
import TensorCore

/// Recurrent layers.
extension ONNXOperators {
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
        node.proto.attribute(named: "clip") == nil,
        node.int("input_forget", default: 0) == 0, node.input(4) == nil, node.input(7) == nil
      else {
        return conversion.refuse("with other activations, clipping, peepholes or sequence lengths")
      }
      guard weights.shape.count == 3, hidden.shape.count == 3,
        node.int("hidden_size", default: hidden.shape[2]) == hidden.shape[2]
      else { throw node.failure("weights of \(weights.shape) and \(hidden.shape) do not fit its hidden_size") }
      // The batch first is brought behind the steps, or the directions.
      let isBatchFirst = node.int("layout", default: 0) != 0
      func arranged(_ value: String) -> String { isBatchFirst ? conversion.transposed(value, [1, 0, 2]) : value }
      let states = try [5, 6].compactMap { index in
        try node.input(index).map { arranged(try conversion.builder.operand($0)) }
      }
      guard states.isEmpty || node.input(5) != nil else { return conversion.refuse("with a cell state alone") }
      let data = arranged(try conversion.operand(0))
      for (index, result) in [RecurrentLayer.Result.sequence, .hidden, .cell].enumerated() {
        guard let output = conversion.output(index) else { continue }
        let own = isBatchFirst ? "\(output)/steps first" : output
        conversion.emit(
          own,
          .array(
            .recurrent(
              RecurrentLayer(
                kind: kind, hiddenCount: hidden.shape[2],
                directions: directions, inputWeights: weights.reference,
                hiddenWeights: hidden.reference, bias: node.constant(3)?.reference,
                resetsAfterProduct: node.int("linear_before_reset", default: 0) != 0,
                hasInitialState: !states.isEmpty, result: result))),
          [data] + states)
        if isBatchFirst {
          conversion.emit(output, .array(.transpose(order: index == 0 ? [2, 0, 1, 3] : [1, 0, 2])), [own])
        }
      }
    }
  }
}
