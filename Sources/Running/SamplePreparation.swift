import Basics
import TensorCore

/// How the arrays of a data file become inputs of the network.
package struct SamplePreparation: Sendable, Equatable {
  /// Multiplied first, 1/255 say; nil leaves the values.
  package var scale: Double?
  /// Subtracted then, one for each channel or one for all.
  package var mean: [Double]
  /// Divided by last, one for each channel or one for all.
  package var standardDeviation: [Double]
  /// The first samples only; nil takes all.
  package var maximumCount: Int?

  package init(
    scale: Double? = nil, mean: [Double] = [], standardDeviation: [Double] = [],
    maximumCount: Int? = nil
  ) {
    self.scale = scale
    self.mean = mean
    self.standardDeviation = standardDeviation
    self.maximumCount = maximumCount
  }
}

extension SamplePreparation {
  /// Scale, mean and deviation along the axis whose extent is the number of values: the last one, else the second.
  ///
  /// - Throws: `Failure` where no axis has as many entries as there are values.
  package func apply(to array: Tensor<Float>, arrayName: String) throws -> Tensor<Float> {
    var elements = array.elements
    if let scale { for i in elements.indices { elements[i] *= Float(scale) } }
    for (values, name) in [(mean, "--input-mean"), (standardDeviation, "--input-std")] where !values.isEmpty {
      let isMean = name == "--input-mean"
      let axes = [array.order - 1, 1].filter { $0 > 0 && array.shape[$0] == values.count }
      guard values.count == 1 || !axes.isEmpty else {
        throw Failure(
          name, "has \(values.count) values",
          "array '\(arrayName)' has the shape \(([nil] + array.shape.dropFirst().map { $0 }).text)",
          remedy: "give one value, or one for each channel")
      }
      let axis = values.count == 1 ? 0 : axes[0]
      let inner = array.shape.dropFirst(axis + 1).reduce(1, *)
      for i in elements.indices {
        let value = Float(values.count == 1 ? values[0] : values[i / inner % values.count])
        if isMean { elements[i] -= value } else { elements[i] /= value }
      }
    }
    return Tensor(shape: array.shape, elements: elements)
  }
}
