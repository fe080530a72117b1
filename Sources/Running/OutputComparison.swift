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
    self.init(name: name, OutputDifference(output, reference: reference))
  }

  /// What differences over all samples come to.
  package init(name: String, _ sums: OutputDifference) {
    self.name = name
    maximumAbsoluteDifference = sums.maximum
    largestReference = sums.largest
    relativeDiscrepancy =
      sums.squares == 0
      ? 0 : sums.referenceSquares == 0 ? .infinity : (sums.squares / sums.referenceSquares).squareRoot()
    cosineSimilarity =
      sums.squares == 0 ? 1 : sums.product / (sums.outputSquares.squareRoot() * sums.referenceSquares.squareRoot())
    topOneAgreement = sums.agreeing.map { Double($0) / Double(max(1, sums.samples)) }
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

/// The sums behind a comparison of an output with its reference. Those of some samples are added to those of others.
package struct OutputDifference: Sendable {
  fileprivate private(set) var maximum = 0.0
  fileprivate private(set) var largest = 0.0
  fileprivate private(set) var squares = 0.0
  fileprivate private(set) var outputSquares = 0.0
  fileprivate private(set) var referenceSquares = 0.0
  fileprivate private(set) var product = 0.0
  /// The samples whose largest class is the same in both; nil for an output that has no classes.
  fileprivate private(set) var agreeing: Int?
  fileprivate private(set) var samples: Int

  /// - Precondition: equal shapes, samples first.
  package init(_ output: Tensor<Float>, reference: Tensor<Float>) {
    precondition(output.shape == reference.shape, "\(output.shape) is compared with \(reference.shape)")
    for (a, b) in zip(output.elements, reference.elements) {
      let (y, r) = (Double(a), Double(b))
      let difference = y - r
      maximum = Self.larger(maximum, abs(difference))
      largest = max(largest, abs(r))
      squares += difference * difference
      outputSquares += y * y
      referenceSquares += r * r
      product += y * r
    }
    let classes = reference.topOne
    agreeing = classes.flatMap(output.countAgreeing)
    samples = classes?.count ?? 0
  }

  /// Adds what other samples came to.
  package mutating func add(_ other: OutputDifference) {
    maximum = Self.larger(maximum, other.maximum)
    largest = max(largest, other.largest)
    squares += other.squares
    outputSquares += other.outputSquares
    referenceSquares += other.referenceSquares
    product += other.product
    agreeing = agreeing.flatMap { ours in other.agreeing.map { ours + $0 } }
    samples += other.samples
  }

  /// A NaN must survive the maximum.
  private static func larger(_ a: Double, _ b: Double) -> Double { a.isNaN || b.isNaN ? .nan : max(a, b) }
}
