import Foundation
import TensorCore

/// What the numbers of a network's output are. Everything that asks whether an output has classes asks here.
package enum OutputKind: Sendable, Equatable {
  /// Scores or probabilities of so many classes.
  case classes(Int)
  /// Values that are compared number by number: images, boxes, embeddings of several axes.
  case values

  /// An output has classes where a sample has one axis of more than one number; axes of one number do not count.
  ///
  /// - Parameter shape: of the output, samples first: [n, 10] and [n, 10, 1, 1] have 10 classes, [1, 5, 7] has values.
  package init(shape: [Int]) {
    let axes = shape.dropFirst().filter { $0 != 1 }
    if axes.count == 1, let classes = axes.first, classes > 1 { self = .classes(classes) } else { self = .values }
  }

  /// The count of classes; nil for values.
  package var classCount: Int? { if case .classes(let count) = self { count } else { nil } }
}

/// What is measured of an output: the largest class, agreement, accuracy, PSNR.
extension Tensor where Scalar == Float {
  /// What the numbers of this output are; samples come first.
  package var kind: OutputKind { OutputKind(shape: shape) }

  /// The class with the largest score, for every sample; -1 for a sample with a NaN, which agrees with nothing. Nil for values.
  package var topOne: [Int]? {
    guard case .classes(let classes) = kind else { return nil }
    return (0..<shape[0]).map { sample in
      let scores = elements[sample * classes..<(sample + 1) * classes]
      guard scores.allSatisfy({ !$0.isNaN }), let top = scores.max() else { return -1 }
      return (scores.firstIndex(of: top) ?? scores.startIndex) - scores.startIndex
    }
  }

  /// The share of samples whose largest class is the same in another output (top-1 agreement). Nil for values.
  package func agreement(with other: Tensor) -> Double? {
    other.topOne.flatMap { agreement(withClasses: $0) }
  }

  /// The share of samples whose largest class is their label (top-1 accuracy). Nil for values.
  package func accuracy(labels: [Int]) -> Double? { agreement(withClasses: labels) }

  private func agreement(withClasses classes: [Int]) -> Double? {
    countAgreeing(with: classes).map { Double($0) / Double(Swift.max(1, classes.count)) }
  }

  /// How many samples have these largest classes. Nil for values.
  package func countAgreeing(with classes: [Int]) -> Int? {
    topOne.map { ours in zip(ours, classes).count { $0 == $1 && $0 >= 0 } }
  }

  /// The peak signal-to-noise ratio in dB against targets with the peak `peak`, averaged over the samples.
  package func psnr(targets: Tensor, peak: Double) -> Double {
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
