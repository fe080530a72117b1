import Basics
import LinearAlgebra
import TensorCore
import Testing

@testable import Rounding

/// A positive definite matrix whose columns depend on each other.
private func norm(_ count: Int, _ generator: inout SplitMix64) -> Tensor<Double> {
  let root = Tensor<Double>(gaussian: [2 * count, count], using: &generator)
  let common = Tensor<Double>(gaussian: [2 * count, 1], using: &generator)
  return Tensor(
    shape: root.shape, elements: root.elements.enumerated().map { $1 + 2 * common.elements[$0 / count] }
  ).gram(ofColumns: true)
}

private func error(_ matrix: Tensor<Double>, _ row: [Double], _ integers: [Int], _ step: Double) -> Double {
  let rest = zip(row, integers).map { $0 - Double($1) * step }
  let count = rest.count
  return (0..<count).reduce(0) { sum, i in
    sum + (0..<count).reduce(0) { $0 + rest[i] * matrix.elements[i * count + $1] * rest[$1] }
  }
}

private let one = Tensor<Double>(shape: [1, 1], elements: [1])

@Suite struct ErrorFeedbackTests {
  @Test func errorsAreThoseOfTheNorm() throws {
    var generator = SplitMix64(seed: 1)
    let (outer, inner) = (norm(3, &generator), norm(4, &generator))
    let feedback = try ErrorFeedback(outer: outer, inner: inner, damping: 0)
    let row = Tensor<Double>(gaussian: [12], using: &generator).elements
    let (integers, errors) = feedback.rounded(row, steps: Array(repeating: 0.4, count: 12), levels: Levels(uniform: 3))
    var whole = [Double](repeating: 0, count: 144)
    for i in 0..<12 {
      for j in 0..<12 { whole[i * 12 + j] = outer[[i / 4, j / 4]] * inner[[i % 4, j % 4]] }
    }
    let expected = error(Tensor(shape: [12, 12], elements: whole), row, integers.map(Int.init), 0.4)
    #expect(abs(errors[0] - expected) <= 1e-9 * expected)
    let again = feedback.error(of: integers, row, Array(repeating: 0.4, count: 12), Levels(uniform: 3))
    #expect(abs(again - expected) <= 1e-9 * expected)
  }

  @Test func withoutCorrelationsItIsPlainRounding() throws {
    var generator = SplitMix64(seed: 2)
    let identity = Tensor<Double>(zeros: [9, 9]).addingToDiagonal(1)
    let row = Tensor<Double>(gaussian: [9], using: &generator).elements
    let feedback = try ErrorFeedback(outer: one, inner: identity, damping: 0.01)
    let integers = feedback.rounded(row, steps: Array(repeating: 0.25, count: 9), levels: Levels(uniform: 127)).integers
    #expect(integers == row.map { Int8(($0 / 0.25).rounded(.toNearestOrEven)) })
  }

  /// Nothing is better than the best of all, and error feedback is closer to it than plain rounding is.
  @Test func isNearTheBestOfAll() throws {
    var (fed, plain, best) = (0.0, 0.0, 0.0)
    for seed in 0..<20 {
      var generator = SplitMix64(seed: UInt64(100 + seed))
      let matrix = norm(5, &generator)
      let row = Tensor<Double>(gaussian: [5], using: &generator).elements
      let feedback = try ErrorFeedback(outer: one, inner: matrix, damping: 0)
      let step = 0.6
      let rounded = feedback.rounded(row, steps: Array(repeating: step, count: 5), levels: Levels(uniform: 3))
      var least = Double.infinity
      for code in 0..<16807 {
        let integers = [code % 7, code / 7 % 7, code / 49 % 7, code / 343 % 7, code / 2401].map { $0 - 3 }
        least = min(least, error(matrix, row, integers, step))
      }
      #expect(rounded.errors[0] >= least * (1 - 1e-9))
      fed += rounded.errors[0] / least
      plain += error(matrix, row, row.map { Int(max(-3, min(3, ($0 / step).rounded()))) }, step) / least
      best += 1
    }
    #expect(fed < plain)
    #expect(fed / best < 3)
  }
}
