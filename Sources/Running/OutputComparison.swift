import Basics
import TensorCore

/// How far one output of a network is from its reference.
package struct OutputComparison: Sendable, Equatable {
  package let name: String
  package let maximumAbsoluteDifference: Double
  /// ||y - y_ref|| / ||y_ref|| over all samples; NaN where an output is NaN.
  package let relativeDiscrepancy: Double
  package let cosineSimilarity: Double
  /// The share of samples whose largest entry stands at the same place; nil for outputs that are no class scores.
  package let topOneAgreement: Double?
  /// The largest number of the reference, without its sign.
  package let largestReference: Double
  /// What rounding alone may change an output by whose numbers are all tiny beside those that it is computed from; nil for any other.
  package var rounding: Double?

  /// - Precondition: equal shapes, samples first.
  package init(name: String, _ output: Tensor<Float>, reference: Tensor<Float>) {
    precondition(output.shape == reference.shape, "\(output.shape) is compared with \(reference.shape)")
    self.name = name
    var (maximum, largest) = (0.0, 0.0)
    var squares = 0.0
    var outputSquares = 0.0
    var referenceSquares = 0.0
    var product = 0.0
    for (a, b) in zip(output.elements, reference.elements) {
      let (y, r) = (Double(a), Double(b))
      let difference = y - r
      // A NaN must survive the maximum.
      maximum = difference.isNaN || maximum.isNaN ? .nan : Swift.max(maximum, Swift.abs(difference))
      largest = Swift.max(largest, Swift.abs(r))
      squares += difference * difference
      outputSquares += y * y
      referenceSquares += r * r
      product += y * r
    }
    maximumAbsoluteDifference = maximum
    largestReference = largest
    relativeDiscrepancy =
      squares == 0 ? 0 : referenceSquares == 0 ? .infinity : (squares / referenceSquares).squareRoot()
    cosineSimilarity =
      squares == 0 ? 1 : product / (outputSquares.squareRoot() * referenceSquares.squareRoot())
    topOneAgreement = output.agreement(with: reference)
  }

  package var json: JSON {
    [
      "name": .string(name), "max_absolute_difference": .real(maximumAbsoluteDifference),
      "relative_discrepancy": .real(relativeDiscrepancy),
      "cosine_similarity": .real(cosineSimilarity),
      "top1_agreement": .optional(topOneAgreement, JSON.real),
    ]
  }
}
