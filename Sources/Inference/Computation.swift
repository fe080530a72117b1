import Basics
import ModelGraph
import TensorCore

/// An operation with its weights loaded and prepared.
///
/// Shapes have been checked before (`ModelGraph.shapes`); only what depends on the size of a parameter is left to `run`.
protocol Computation: Sendable {
  /// Consumes the inputs it wants to overwrite: elements that nobody else holds change in place, others are copied first.
  func run(_ inputs: inout [Value], outputShape: [Int]) throws -> Value
}

/// A computation that finishes its output with channel-wise and element-wise functions while it is in cache.
protocol FinishingComputation: Computation {
  var finish: Finish { get set }
  /// The axis on which the output has the channels that `finish` counts.
  func channelAxis(rank: Int) -> Int
}

/// The loader of a graph's parameters.
typealias ParameterSource = (TensorReference) throws -> Tensor<Float>
