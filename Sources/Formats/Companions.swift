import Checkpoints

/// The files that make a network of a checkpoint that does not hold all of it.
package struct Companions: Sendable, Equatable {
  /// The path of an ONNX export of the original network, for a checkpoint without a graph.
  package var graph: String?
  /// The path of the architecture of Keras weights, what `model.to_json()` returns.
  package var architecture: String?

  /// What is to be known of tensors that come without a network.
  package var stateDict: StateDictOptions

  /// Makes a set of companions; nil for those that there are not.
  package init(graph: String? = nil, architecture: String? = nil, stateDict: StateDictOptions = StateDictOptions()) {
    self.graph = graph
    self.architecture = architecture
    self.stateDict = stateDict
  }

  /// The paths with what each file is to a command, for `OutputSet`.
  package var inputs: [(path: String, role: String)] {
    [
      (graph, "the graph"), (architecture, "the original's architecture"), (stateDict.modules, "the modules' classes"),
    ].compactMap { path, role in path.map { ($0, role) } }
  }
}
