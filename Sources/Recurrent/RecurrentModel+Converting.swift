import Basics
import LinearAlgebra
import TensorCore

/// Conversions that change nothing: the same states and logits from other parameters.
extension RecurrentModel {
  /// The third-order tensor (out, state, input) of the bilinear term; zero for an rnn.
  ///
  /// - Precondition: no gate; `canonical` makes one of it.
  package var bilinearTensor: Tensor<Double> {
    let (n, d) = (shape.hidden, shape.inputs)
    switch shape.kind.bilinear {
    case .none: return Tensor(zeros: [n, n, d])
    case .tensor: return self[.tensor].permuted([1, 2, 0]).converted(to: Double.self)
    case .gated: preconditionFailure("a gated term is made canonical first")
    case .canonical:
      let output = self[.outputFactor].converted(to: Double.self)
      let state = self[.stateFactor].converted(to: Double.self).elements
      let input = self[.inputFactor].converted(to: Double.self).elements
      let r = shape.rank
      // (R, n d): the Khatri-Rao product of the other two factors.
      var products = [Double](repeating: 0, count: r * n * d)
      for k in 0..<r {
        for i in 0..<n {
          for x in 0..<d { products[(k * n + i) * d + x] = state[k * n + i] * input[x * r + k] }
        }
      }
      return output.times(Tensor(shape: [r, n * d], elements: products)).reshaped([n, n, d])
    }
  }

  /// The same network as a second-order one: rnn -> 2rnn, mirnn -> 2rnn, cprnn -> 2rnn, cpbirnn -> birnn. Exact.
  package func secondOrder() -> RecurrentModel {
    let source = shape.kind.bilinear == .gated ? canonicalGate() : self
    let kind: RecurrentShape.Kind = shape.kind.hasLinearTerms ? .secondOrder : .birnn
    let target = RecurrentShape(kind, hidden: shape.hidden, inputs: shape.inputs)
    let tensor = source.bilinearTensor.permuted([2, 0, 1]).converted(to: Float.self)
    return source.replacing(target) { $0 == .tensor ? tensor : nil }
  }

  /// A mirnn as a cprnn with R = n: the factors V, U and diag(alpha), and linear terms scaled by beta. Exact (papers: CPRNN, section 3).
  ///
  /// - Precondition: the term is gated.
  package func canonicalGate() -> RecurrentModel {
    precondition(shape.kind.bilinear == .gated, "\(shape.kind) has no gate")
    let n = shape.hidden
    let (alpha, beta1, beta2) = (self[.alpha].elements, self[.beta1].elements, self[.beta2].elements)
    var diagonal = [Float](repeating: 0, count: n * n)
    for i in 0..<n { diagonal[i * n + i] = alpha[i] }
    return replacing(RecurrentShape(.cprnn, hidden: n, inputs: shape.inputs, rank: n)) { parameter in
      switch parameter {
      case .stateFactor: self[.hidden]
      case .inputFactor: self[.input]
      case .outputFactor: Tensor(shape: [n, n], elements: diagonal)
      case .hidden: self[.hidden].combined(with: beta1, along: 0, *)
      case .input: self[.input].combined(with: beta2, along: 1, *)
      case .bias, .alpha, .beta1, .beta2, .tensor, .decoder, .decoderBias: nil
      }
    }
  }

  /// The same network with a canonical term in place of its tensor.
  ///
  /// - Parameters:
  ///   - output: (n x R), `state` (R x n), `input` (d x R).
  package func canonical(
    output: Tensor<Float>, state: Tensor<Float>, input: Tensor<Float>
  ) -> RecurrentModel {
    let kind: RecurrentShape.Kind = shape.kind.hasLinearTerms ? .cprnn : .cpbirnn
    let target = RecurrentShape(kind, hidden: shape.hidden, inputs: shape.inputs, rank: output.shape[1])
    return replacing(target) { parameter in
      switch parameter {
      case .outputFactor: output
      case .stateFactor: state
      case .inputFactor: input
      case .hidden, .input, .bias, .alpha, .beta1, .beta2, .tensor, .decoder, .decoderBias: nil
      }
    }
  }

  /// The canonical term of full rank, R >= min(n^2, n d), that is the tensor itself: one product for each pair of output and state, or of
  /// state and input, and zeros beyond. Exact.
  ///
  /// - Precondition: the term is a tensor, or nothing.
  package func canonical(ofFullRank rank: Int) -> RecurrentModel {
    let (n, d) = (shape.hidden, shape.inputs)
    precondition(rank >= Self.fullRank(shape), "\(rank) is not full rank")
    let tensor = bilinearTensor
    var output = [Float](repeating: 0, count: n * rank)
    var state = [Float](repeating: 0, count: rank * n)
    var input = [Float](repeating: 0, count: d * rank)
    if n <= d {
      for o in 0..<n {
        for i in 0..<n {
          let k = o * n + i
          output[o * rank + k] = 1
          state[k * n + i] = 1
          for x in 0..<d { input[x * rank + k] = Float(tensor.elements[k * d + x]) }
        }
      }
    } else {
      for i in 0..<n {
        for x in 0..<d {
          let k = i * d + x
          state[k * n + i] = 1
          input[x * rank + k] = 1
          for o in 0..<n { output[o * rank + k] = Float(tensor.elements[o * n * d + k]) }
        }
      }
    }
    return canonical(
      output: Tensor(shape: [n, rank], elements: output), state: Tensor(shape: [rank, n], elements: state),
      input: Tensor(shape: [d, rank], elements: input))
  }

  /// The rank at which a canonical term can be any tensor.
  package static func fullRank(_ shape: RecurrentShape) -> Int {
    min(shape.hidden * shape.hidden, shape.hidden * shape.inputs)
  }

  /// Another network with some parameters given and the others as they are here.
  private func replacing(
    _ target: RecurrentShape, _ given: (RecurrentParameter) -> Tensor<Float>?
  ) -> RecurrentModel {
    var parameters: [RecurrentParameter: Tensor<Float>] = [:]
    for parameter in target.parameters { parameters[parameter] = given(parameter) ?? self[parameter] }
    return RecurrentModel(target, vocabulary, parameters: parameters)
  }
}
