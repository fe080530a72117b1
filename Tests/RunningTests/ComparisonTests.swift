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
