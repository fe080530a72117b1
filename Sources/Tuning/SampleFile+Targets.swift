import Basics
import Running
import TensorCore

extension SampleFile {
  /// What labels or targets ask of an output.
  ///
  /// - Parameter output: of some samples; tells the classes.
  /// - Throws: `Failure` where the data has neither, or they do not fit.
  func targets(for output: Tensor<Float>) throws -> Tensor<Float> {
    if let labels = try labels {
      guard case .classes(let classes) = output.kind else {
        throw Failure(
          path, "has labels", "the network's output \(output.shape) has no classes", remedy: "leave --labels out")
      }
      var elements = [Float](repeating: 0, count: labels.count * classes)
      for (sample, label) in labels.enumerated() {
        guard label < classes else {
          throw Failure(
            path, "array 'labels' holds \(label)", "the network has \(classes) classes",
            remedy: "expected class indices from 0 to \(classes - 1)")
        }
        elements[sample * classes + label] = 1
      }
      return Tensor(shape: [labels.count] + output.shape.dropFirst(), elements: elements)
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
