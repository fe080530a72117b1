import Foundation
import TensorCore
import Testing

@testable import Running

@Suite struct ComparisonTests {
  private func tensor(_ rows: [[Float]]) -> Tensor<Float> {
    Tensor(shape: [rows.count, rows[0].count], elements: rows.flatMap { $0 })
  }

  @Test func followsItsDefinitions() {
    let reference = tensor([[3, 0], [0, 4]])
    let comparison = OutputComparison(name: "y", tensor([[3, 1], [2, 0]]), reference: reference)
    #expect(comparison.maximumAbsoluteDifference == 4)
    #expect(abs(comparison.relativeDiscrepancy - (1.0 + 4 + 16).squareRoot() / 5) < 1e-12)
    #expect(abs(comparison.cosineSimilarity - 9 / (14.0.squareRoot() * 5)) < 1e-12)
    #expect(comparison.topOneAgreement == 0.5)
    let same = OutputComparison(name: "y", reference, reference: reference)
    #expect(same.relativeDiscrepancy == 0 && same.cosineSimilarity == 1 && same.topOneAgreement == 1)
  }

  @Test func notANumberAgreesWithNothing() {
    let broken = tensor([[.nan, 0], [0, 4]])
    for (ours, theirs) in [
      (broken, tensor([[3, 0], [0, 4]])), (tensor([[3, 0], [0, 4]]), broken), (broken, broken),
    ] {
      let comparison = OutputComparison(name: "y", ours, reference: theirs)
      #expect(!(comparison.relativeDiscrepancy <= .infinity))
      #expect(!(comparison.maximumAbsoluteDifference <= .infinity))
      #expect(comparison.topOneAgreement == 0.5)
    }
    #expect(broken.accuracy(labels: [0, 1]) == 0.5)
  }

  @Test func aZeroReferenceHasNoScale() {
    let zero = tensor([[0, 0]])
    #expect(OutputComparison(name: "y", zero, reference: zero).relativeDiscrepancy == 0)
    #expect(OutputComparison(name: "y", tensor([[0, 1]]), reference: zero).relativeDiscrepancy == .infinity)
  }

  /// What is measured does not depend on how many samples are measured at once.
  @Test(arguments: [1, 2, 3, 7])
  func sumsOfPartsAreThoseOfTheWhole(size: Int) {
    func rows(_ shift: Int) -> Tensor<Float> { tensor((0..<7).map { [Float(($0 * 5 + shift) % 7), Float($0), 3] }) }
    let (output, reference) = (rows(0), rows(2))
    var sums: OutputDifference?
    for first in stride(from: 0, to: 7, by: size) {
      let range = first..<min(first + size, 7)
      let part = OutputDifference(output.samples(range), reference: reference.samples(range))
      if sums == nil { sums = part } else { sums?.add(part) }
    }
    // Sums of small whole numbers are exact.
    let whole = OutputComparison(name: "y", output, reference: reference)
    #expect(sums.map { OutputComparison(name: "y", $0) } == whole)
    #expect(whole.topOneAgreement.map { (0..<1).contains($0) } == true && whole.relativeDiscrepancy > 0)
  }

  @Test func countsHits() {
    let scores = tensor([[1, 5, 2], [9, 0, 0], [0, 0, 3], [1, 1, 0]])
    #expect(scores.topOne == [1, 0, 2, 0])
    #expect(scores.accuracy(labels: [1, 0, 1, 0]) == 0.75)
    // One value for each sample is no score of classes.
    #expect(Tensor<Float>(shape: [4, 1], elements: [1, 2, 3, 4]).topOne == nil)
  }

  @Test func measuresNoise() {
    let targets = tensor([[0, 1], [1, 0]])
    let noisy = tensor([[0.1, 1], [1, 0.2]])
    let expected = (10 * log10(2 / 0.01) + 10 * log10(2 / 0.04)) / 2
    #expect(abs(noisy.psnr(targets: targets, peak: 1) - expected) < 1e-4)
    #expect(targets.psnr(targets: targets, peak: 1) == .infinity)
  }
}
