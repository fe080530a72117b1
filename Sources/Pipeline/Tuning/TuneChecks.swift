import Basics
import ModelGraph
import TensorCore

extension SampleFile {
  /// What labels or targets ask of an output.
  ///
  /// - Parameter output: of some samples; tells the classes.
  /// - Throws: `Failure` where the data has neither, or they do not fit.
  func targets(for output: Tensor<Float>) throws -> Tensor<Float> {
    if let labels = try labels {
      guard output.order == 2, output.shape[1] > 1 else {
        throw Failure(
          path, "has labels", "the network's output \(output.shape) has no classes", remedy: "leave --labels out")
      }
      let classes = output.shape[1]
      var elements = [Float](repeating: 0, count: labels.count * classes)
      for (sample, label) in labels.enumerated() {
        guard label < classes else {
          throw Failure(
            path, "array 'labels' holds \(label)", "the network has \(classes) classes",
            remedy: "expected class indices from 0 to \(classes - 1)")
        }
        elements[sample * classes + label] = 1
      }
      return Tensor(shape: [labels.count, classes], elements: elements)
    }
    guard let targets else {
      throw Failure(path, "has no labels", "it holds neither 'labels' nor 'targets'", remedy: "leave --labels out")
    }
    let shape = [count] + output.shape.dropFirst()
    guard targets.count == shape.reduce(1, *) else {
      throw Failure(
        path, "array 'targets' does not fit", "its shape is \(targets.shape), the network gives \(shape)")
    }
    return targets.reshaped(shape)
  }
}

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
    guard let labels, output.order == 2, labels.allSatisfy({ $0 < output.shape[1] }) else {
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

extension TuneRequest {
  /// - Throws: `Failure` where images are to be changed and there are none, or what is asked of them would not change with them.
  func checkAugmentations(images: Bool, targetOrder: Int) throws {
    let moving = augmentations.subtracting([.mix]).map(\.rawValue).sorted()
    guard let first = moving.first else { return }
    guard images else {
      throw Failure(
        data, "cannot be changed by --augment \(first)", "the network's inputs are no images", remedy: "leave it out")
    }
    guard targetOrder < 3 else {
      throw Failure(
        data, "cannot be changed by --augment \(first)", "its targets are images themselves and would stay as they are",
        remedy: "leave --augment or --labels out")
    }
  }
}
