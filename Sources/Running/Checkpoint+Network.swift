import Basics
import Checkpoints
import Inference
import ModelGraph

extension Checkpoint {
  /// Makes an engine for the checkpoint's network with its own weights.
  ///
  /// - Parameter part: A part of the network in place of all of it.
  /// - Throws: `Failure` where the checkpoint has no graph, or a layer of it cannot be run.
  package func network(_ part: ModelGraph? = nil) throws -> (graph: ModelGraph, engine: Engine) {
    guard let graph = part ?? graph else {
      throw Failure(
        path, "cannot be run", graphAbsence ?? "it has no graph",
        remedy: "use a checkpoint that holds its architecture")
    }
    do {
      return (graph, try Engine(graph) { reference in try parameter(reference) })
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }
}
