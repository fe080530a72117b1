import Basics
import ModelGraph
import Running
import TensorCore

extension Samples {
  /// Samples whose accuracy is told.
  ///
  /// - Parameter output: of some samples; tells the classes.
  /// - Throws: `Failure` where they have no labels of these.
  init(
    test path: String, for graph: ModelGraph, _ preparation: SamplePreparation, output: Tensor<Float>
  ) throws {
    var preparation = preparation
    preparation.maximumCount = nil
    try self.init(file: path, for: graph, preparation)
    guard let labels, let classes = output.kind.classCount, labels.allSatisfy({ $0 < classes }) else {
      throw Failure(
        path, "gives no accuracy",
        labels == nil ? "it holds no 'labels'" : "its labels are not classes of the network's output \(output.shape)",
        remedy: "leave --test out, or give labelled samples")
    }
    if let name = inputs.keys.sorted().first(where: { inputs[$0]?.isFinite == false }) {
      throw Failure(path, "gives no accuracy", "input '\(name)' holds NaN or infinite values")
    }
  }
}
