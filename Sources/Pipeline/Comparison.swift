import Basics
import Foundation
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

  /// - Precondition: equal shapes, samples first.
  init(name: String, _ output: Tensor<Float>, reference: Tensor<Float>) {
    precondition(output.shape == reference.shape, "\(output.shape) is compared with \(reference.shape)")
    self.name = name
    var maximum = 0.0
    var squares = 0.0
    var outputSquares = 0.0
    var referenceSquares = 0.0
    var product = 0.0
    for (a, b) in zip(output.elements, reference.elements) {
      let (y, r) = (Double(a), Double(b))
      let difference = y - r
      // A NaN must survive the maximum.
      maximum = difference.isNaN || maximum.isNaN ? .nan : Swift.max(maximum, Swift.abs(difference))
      squares += difference * difference
      outputSquares += y * y
      referenceSquares += r * r
      product += y * r
    }
    maximumAbsoluteDifference = maximum
    relativeDiscrepancy =
      squares == 0 ? 0 : referenceSquares == 0 ? .infinity : (squares / referenceSquares).squareRoot()
    cosineSimilarity =
      squares == 0 ? 1 : product / (outputSquares.squareRoot() * referenceSquares.squareRoot())
    topOneAgreement = output.topOne.flatMap { ours in
      reference.topOne.map { theirs in
        Double(zip(ours, theirs).filter { $0 == $1 && $0 >= 0 }.count) / Double(Swift.max(1, ours.count))
      }
    }
  }

  var json: JSON {
    [
      "name": .string(name), "max_absolute_difference": .real(maximumAbsoluteDifference),
      "relative_discrepancy": .real(relativeDiscrepancy),
      "cosine_similarity": .real(cosineSimilarity),
      "top1_agreement": .optional(topOneAgreement, JSON.real),
    ]
  }
}

extension Tensor where Scalar == Float {
  /// The classes of an output of the form [samples, classes] with two classes or more; nil for others.
  var classCount: Int? {
    let classes = shape.dropFirst().reduce(1, *)
    return shape.filter({ $0 > 1 }).count <= 2 && classes > 1 && order >= 2 ? classes : nil
  }

  /// The index of the largest entry of every sample, for outputs of the form [samples, classes] with two classes or more;
  /// -1 for a sample with a NaN, which agrees with nothing.
  var topOne: [Int]? {
    guard let classes = classCount else { return nil }
    return (0..<shape[0]).map { sample in
      let scores = elements[sample * classes..<(sample + 1) * classes]
      guard scores.allSatisfy({ !$0.isNaN }), let top = scores.max() else { return -1 }
      return (scores.firstIndex(of: top) ?? scores.startIndex) - scores.startIndex
    }
  }

  /// The share of samples whose largest entry is at their label.
  func accuracy(labels: [Int]) -> Double? {
    topOne.map { top in
      Double(zip(top, labels).filter { $0 == $1 }.count) / Double(Swift.max(1, labels.count))
    }
  }

  /// The peak signal-to-noise ratio in dB against targets with the peak `peak`; averaged over the samples.
  func psnr(targets: Tensor, peak: Double) -> Double {
    let samples = Swift.max(1, shape.first ?? 1)
    let size = count / samples
    let ratios = (0..<samples).map { sample -> Double in
      let range = sample * size..<(sample + 1) * size
      let squares = zip(elements[range], targets.elements[range]).reduce(0.0) { sum, pair in
        let difference = Double(pair.0) - Double(pair.1)
        return sum + difference * difference
      }
      return 10 * log10(peak * peak * Double(size) / squares)
    }
    return ratios.reduce(0, +) / Double(samples)
  }
}
