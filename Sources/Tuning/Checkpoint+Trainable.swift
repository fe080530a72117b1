import Basics
import Checkpoints
import ModelGraph

extension Checkpoint {
  /// The graph, where it can be trained on batches.
  ///
  /// - Throws: `Failure` that says why it cannot.
  var trainableGraph: ModelGraph {
    get throws {
      guard let graph else {
        throw Failure(
          path, "cannot be trained", graphAbsence ?? "it has no graph", remedy: "give an ONNX export with --graph")
      }
      guard graph.fixedBatch ?? 1 == 1, graph.keepsSamplesApart else {
        throw Failure(
          path, "cannot be trained",
          "the model does not keep samples apart on the first axis of all its inputs and outputs",
          remedy: "export it with an open batch")
      }
      return graph
    }
  }
}
