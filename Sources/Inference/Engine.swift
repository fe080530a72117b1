import Basics
import ModelGraph
import TensorCore

/// Runs a network. Weights are loaded and prepared once; `run` may be called from several threads at the same time and uses
/// one thread itself.
///
/// The engine expects OpenBLAS to use one thread: whoever wants more splits the batch.
package struct Engine: Sendable {
  /// The network that runs.
  package let graph: ModelGraph
  private let program: Program

  /// Loads the weights of every layer.
  ///
  /// - Parameter parameter: Gives a tensor of the checkpoint in the program's order (`TensorReference.read`).
  /// - Throws: `Failure` that names the layer when it cannot be run or its weights do not fit; what `parameter` throws.
  package init(_ graph: ModelGraph, parameter: (TensorReference) throws -> Tensor<Float>) throws {
    self.graph = graph
    program = try Program(graph, parameter)
  }

  /// Runs a batch.
  ///
  /// - Parameter inputs: One tensor for every input of the graph, under its name.
  /// - Returns: The outputs in the order of `graph.outputs`.
  /// - Throws: `Failure` that names the input or the layer where a shape does not fit.
  package func run(_ inputs: [String: Tensor<Float>]) throws -> [Tensor<Float>] {
    var outputs: [String: Tensor<Float>] = [:]
    try run(inputs, observing: Set(graph.outputs.map(\.value))) { outputs[$0] = $1 }
    return graph.outputs.map { outputs[$0.value].required("every output is computed") }
  }

  /// Runs a batch and shows some values as soon as they exist: calibration takes the inputs of layers from here.
  ///
  /// A value that an operation finishes for its only reader (the output of a convolution before its activation) never exists
  /// by itself; a graph input, a graph output and the input of any convolution or linear layer always do.
  ///
  /// - Parameters:
  ///   - values: The names of the values to show; what only later nodes would need for others is not computed.
  ///   - observe: Called once for each of them, in the order in which they are computed.
  /// - Throws: `Failure` that names the input or the layer where a shape does not fit; what `observe` throws.
  /// - Precondition: Every value exists by itself (`computes`).
  package func run(
    _ inputs: [String: Tensor<Float>], observing values: Set<String>,
    _ observe: (String, Tensor<Float>) throws -> Void
  ) throws {
    precondition(values.allSatisfy(computes), "a value is not computed by itself")
    for name in inputs.keys.sorted() where !graph.inputs.contains(where: { $0.name == name }) {
      throw Failure(
        "input '\(name)'", "is not known", "the network has no such input",
        remedy: "expected \(graph.inputs.map { "'\($0.name)'" }.joined(separator: ", "))")
    }
    let shapes = try graph.shapes(inputs: inputs.mapValues(\.shape))
    try program.run(inputs, shapes: shapes, observing: values, observe)
  }

  /// Whether a value exists by itself while the network runs.
  package func computes(_ value: String) -> Bool { program.slots[value] != nil }
}
