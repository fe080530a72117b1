import TensorCore

/// The recurrent networks of the CPRNN paper (Lizaire et al., ICML 2024) over characters: an input x is one of d symbols, the
/// state h has n numbers, a linear decoder gives the next symbol's logits.
///
/// All of them are h' = tanh(bilinear(h, x) + V h + U x + b); they differ in the bilinear term and in whether the linear ones are there.
package struct RecurrentShape: Sendable, Equatable {
  package enum Kind: String, CaseIterable, Sendable {
    /// A network without a bilinear term.
    case rnn
    /// A network with alpha . Vh . Ux + beta1 . Vh + beta2 . Ux, the multiplicative integration of Wu et al. (2016).
    case mirnn
    /// A x1 h x2 x with a third-order tensor A.
    case secondOrder = "2rnn"
    /// The same with A = [[C, A, B]], a sum of R products of vectors.
    case cprnn
    /// The bilinear term of 2rnn and the bias alone. Without a bias the state would stay at 0, where it begins.
    case birnn
    /// The bilinear term of cprnn and the bias alone.
    case cpbirnn
  }

  /// What is bilinear in state and input.
  package enum Bilinear: Sendable {
    case none, gated, tensor, canonical
  }

  package let kind: Kind
  /// The count n of numbers in the state.
  package let hidden: Int
  /// The count d of symbols.
  package let inputs: Int
  /// R, the products of a canonical term; 0 for other kinds.
  package let rank: Int

  /// - Precondition: positive extents, and a rank exactly where the kind has one.
  package init(_ kind: Kind, hidden: Int, inputs: Int, rank: Int = 0) {
    precondition(hidden > 0 && inputs > 0 && (rank > 0) == kind.hasRank, "\(kind) \(hidden) \(inputs) \(rank)")
    (self.kind, self.hidden, self.inputs, self.rank) = (kind, hidden, inputs, rank)
  }
}

extension RecurrentShape.Kind {
  package var bilinear: RecurrentShape.Bilinear {
    switch self {
    case .rnn: .none
    case .mirnn: .gated
    case .secondOrder, .birnn: .tensor
    case .cprnn, .cpbirnn: .canonical
    }
  }

  package var hasRank: Bool { bilinear == .canonical }

  /// Whether V h and U x are there.
  package var hasLinearTerms: Bool { self != .birnn && self != .cpbirnn }
}

/// The parameters by the names that they have in files.
package enum RecurrentParameter: String, CaseIterable, Sendable {
  /// The matrix V of the state (n x n).
  case hidden
  /// U, transposed: (d x n).
  case input
  /// The bias b (n).
  case bias
  /// The gains alpha, beta1 and beta2 of a mirnn, (n) each.
  case alpha
  case beta1
  case beta2
  /// A as (d, out, in): one n x n matrix for each symbol.
  case tensor = "bilinear.weight"
  /// The canonical term's factor of the state, transposed: (R x n).
  case stateFactor = "bilinear.0.weight"
  /// The factor B of the input (d x R).
  case inputFactor = "bilinear.1.weight"
  /// The factor C of the output (n x R).
  case outputFactor = "bilinear.2.weight"
  /// The matrix W of the decoder (d x n).
  case decoder
  /// The bias of the decoder (d).
  case decoderBias = "decoder_bias"
}

extension RecurrentShape {
  /// The parameters in a fixed order.
  package var parameters: [RecurrentParameter] {
    RecurrentParameter.allCases.filter { parameter in
      switch parameter {
      case .hidden, .input: kind.hasLinearTerms
      case .alpha, .beta1, .beta2: kind.bilinear == .gated
      case .tensor: kind.bilinear == .tensor
      case .stateFactor, .inputFactor, .outputFactor: kind.bilinear == .canonical
      case .bias, .decoder, .decoderBias: true
      }
    }
  }

  /// The shape in which a parameter is computed with.
  package func extents(of parameter: RecurrentParameter) -> [Int] {
    switch parameter {
    case .hidden: [hidden, hidden]
    case .input, .decoder: [inputs, hidden]
    case .bias, .alpha, .beta1, .beta2: [hidden]
    case .tensor: [inputs, hidden, hidden]
    case .stateFactor: [rank, hidden]
    case .inputFactor: [inputs, rank]
    case .outputFactor: [hidden, rank]
    case .decoderBias: [inputs]
    }
  }

  /// The decoder included; the formulas of the paper.
  package var parameterCount: Int { parameters.reduce(0) { $0 + extents(of: $1).reduce(1, *) } }

  /// The largest state, 1 or more, whose network has at most so many parameters; nil where even a state of 1 has more.
  ///
  /// - Parameter rank: for a kind that has one.
  package static func largest(_ kind: Kind, inputs: Int, rank: Int = 0, parameters: Int) -> RecurrentShape? {
    func shape(_ hidden: Int) -> RecurrentShape { RecurrentShape(kind, hidden: hidden, inputs: inputs, rank: rank) }
    guard shape(1).parameterCount <= parameters else { return nil }
    var (low, high) = (1, 2)
    while shape(high).parameterCount <= parameters { (low, high) = (high, 2 * high) }
    while high - low > 1 {
      let middle = (low + high) / 2
      if shape(middle).parameterCount <= parameters { low = middle } else { high = middle }
    }
    return shape(low)
  }
}
