import Synchronization
import TensorCore

/// Runs segments through a network and back, in room that is allocated once. Passes of several threads each need one of their own.
package final class RecurrentPass: Sendable {
  package struct Result: Sendable {
    /// The sum of -log p over the symbols, in nats; NaN where an activation is.
    package let loss: Double
    /// The states after the last step (rows x n).
    package let states: [Float]
    /// The gradients by the parameters' names.
    package let gradients: [String: Tensor<Float>]
  }

  let tape: Mutex<Tape>

  package init(_ shape: RecurrentShape) { tape = Mutex(Tape(shape)) }

  /// Loss and states; with a scale also the gradients of scale times the loss, the first states taken as given.
  package func run(_ weights: RecurrentWeights, _ segment: Segment, gradientScale: Float? = nil) -> Result {
    tape.withLock { tape in
      tape.prepare(segment)
      tape.forward(weights, segment)
      let loss = tape.crossEntropy(segment.targets, scale: gradientScale)
      let gradients = gradientScale == nil ? [:] : tape.backward(weights, segment)
      return Result(
        loss: loss, states: tape.lastStates,
        gradients: Dictionary(uniqueKeysWithValues: gradients.map { ($0.rawValue, $1) }))
    }
  }

  /// The logits of every position (steps x rows, d), and the states after the last step.
  package func logits(_ weights: RecurrentWeights, _ segment: Segment) -> (logits: Tensor<Float>, states: [Float]) {
    tape.withLock { tape in
      tape.prepare(segment)
      tape.forward(weights, segment)
      let (count, d) = (segment.count, tape.shape.inputs)
      return (Tensor(shape: [count, d], elements: Array(tape.logits[..<(count * d)])), tape.lastStates)
    }
  }
}
