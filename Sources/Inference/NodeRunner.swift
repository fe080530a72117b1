import Basics
import ModelGraph
import TensorCore

/// One operation of a graph, to be run by itself.
package struct NodeRunner: Sendable {
  private let layer: String
  private let computation: any Computation

  /// Loads the operation's weights.
  ///
  /// - Throws: `Failure` that names the layer when it cannot be run or its weights do not fit.
  package init(_ node: Node, parameter: (TensorReference) throws -> Tensor<Float>) throws {
    layer = node.layer
    do {
      computation = try node.operation.computation(parameter)
    } catch let failure as Failure where failure.subject.isEmpty {
      throw failure.within("layer '\(node.layer)'")
    }
  }

  /// Runs the operation once.
  ///
  /// - Parameters:
  ///   - inputs: of the node, in order; elements that nobody else holds may be overwritten.
  ///   - outputShape: as `ModelGraph.shapes(inputs:)` gives it.
  /// - Throws: `Failure` that names the layer where a shape does not fit.
  package func run(_ inputs: consuming [Tensor<Float>], outputShape: [Int]) throws -> Tensor<Float> {
    var values = inputs.map { Value($0) }
    inputs = []
    do {
      return try computation.run(&values, outputShape: outputShape).tensor
    } catch let failure as Failure where failure.subject.isEmpty {
      throw failure.within("layer '\(layer)'")
    }
  }
}
