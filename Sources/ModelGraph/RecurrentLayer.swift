/// An LSTM, a GRU or a simple recurrent layer over a sequence: data (steps, batch, features). Operands: the data, the mask where there is one, then the
/// initial states in the order hidden, cell, where `hasInitialState` says so.
///
/// Defaults are ONNX's.
public struct RecurrentLayer: Sendable, Equatable {
  /// Which recurrence the layer runs.
  public enum Kind: String, Sendable {
    case lstm, gru, rnn

    /// Blocks of rows in the weights.
    public var gateCount: Int {
      switch self {
      case .lstm: 4
      case .gru: 3
      case .rnn: 1
      }
    }
  }
  /// Which of its values the layer gives: all hidden states, the last hidden state, or the last cell.
  public enum Result: Sendable { case sequence, hidden, cell }

  /// In which order the blocks of an LSTM stand in its weights. Those of a GRU are always update, reset, candidate.
  public enum GateOrder: Sendable {
    /// Input, output, forget, candidate, as ONNX has them.
    case inputOutputForgetCandidate
    /// Input, forget, candidate, output, as Keras has them.
    case inputForgetCandidateOutput
  }

  /// What the sequence holds at a step that does not count; the states stay what they were.
  public enum Mask: Sendable {
    /// What it held at the step before, zeros at the first one.
    case keepsOutput
    case zeroesOutput
  }

  /// The functions of a step, each of one element.
  public struct Activations: Sendable, Equatable {
    /// Of all gates.
    public var gate: Activation
    /// Of the candidate.
    public var candidate: Activation
    /// LSTM: of the cell, in what the layer gives.
    public var output: Activation

    /// The usual functions, unless others are stated.
    public init(gate: Activation = .sigmoid, candidate: Activation = .tanh, output: Activation = .tanh) {
      self.gate = gate
      self.candidate = candidate
      self.output = output
    }
  }

  /// Which recurrence the layer runs.
  public var kind: Kind
  /// The units of the hidden state in one direction.
  public var hiddenCount: Int
  /// One entry for each direction: whether it runs backwards.
  public var directions: [Bool]
  /// The weights of the input: (directions, gates * hidden, features).
  public var inputWeights: TensorReference
  /// The weights of the hidden state: (directions, gates * hidden, hidden).
  public var hiddenWeights: TensorReference
  /// The biases (directions, 2 * gates * hidden): those for the input, then those for the hidden state; or the former alone.
  public var bias: TensorReference?
  /// GRU: whether the reset gate acts after the hidden state's product.
  public var resetsAfterProduct: Bool
  /// Whether the initial states are operands; they are zero otherwise.
  public var hasInitialState: Bool
  /// Which of its values the layer gives.
  public var result: Result
  /// The functions of a step.
  public var activations: Activations
  /// The order of an LSTM's blocks.
  public var gateOrder: GateOrder
  /// What becomes of steps that the mask (steps, batch) leaves out; nil where there is no mask.
  public var mask: Mask?

  /// A layer has all these settings; see the properties.
  public init(
    kind: Kind, hiddenCount: Int, directions: [Bool], inputWeights: TensorReference, hiddenWeights: TensorReference,
    bias: TensorReference?, resetsAfterProduct: Bool, hasInitialState: Bool, result: Result,
    activations: Activations = Activations(), gateOrder: GateOrder = .inputOutputForgetCandidate, mask: Mask? = nil
  ) {
    self.kind = kind
    self.hiddenCount = hiddenCount
    self.directions = directions
    self.inputWeights = inputWeights
    self.hiddenWeights = hiddenWeights
    self.bias = bias
    self.resetsAfterProduct = resetsAfterProduct
    self.hasInitialState = hasInitialState
    self.result = result
    self.activations = activations
    self.gateOrder = gateOrder
    self.mask = mask
  }

  /// How many operands there may be.
  var operandCounts: ClosedRange<Int> {
    let first = mask == nil ? 1 : 2
    return hasInitialState ? first + 1...first + 2 : first...first
  }
}
