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

@Suite struct GridDescentTests {
  /// The matrix of a norm over pairs of axes, written out.
  private func product(_ outer: Tensor<Double>, _ inner: Tensor<Double>) -> Tensor<Double> {
    let (a, b) = (outer.shape[0], inner.shape[0])
    return Tensor(
      shape: [a * b, a * b],
      elements: (0..<a * b * a * b).map { place in
        let (i, j) = (place / (a * b), place % (a * b))
        return outer[[i / b, j / b]] * inner[[i % b, j % b]]
      })
  }

  /// The error that is counted along the way is that of the result, and never above the error of the beginning.
  @Test(arguments: [1, 3], [[0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 2, 3]])
  func errorsFallAndAreThoseOfTheNorm(_ outerCount: Int, _ pattern: [Int]) throws {
    for seed in 0..<10 {
      var generator = SplitMix64(seed: UInt64(seed))
      let (outer, inner) = (outerCount == 1 ? one : norm(outerCount, &generator), norm(4, &generator))
      let width = outerCount * 4
      let feedback = try ErrorFeedback(outer: outer, inner: inner, damping: 0)
      let rows = Tensor<Double>(gaussian: [3 * width], using: &generator).elements
      // Of one row, of alternating columns, and of every row several channels.
      let channels = rows.indices.map { pattern == [0, 0, 0, 0] ? $0 / width : pattern[$0 % 4] }
      let steps = Array(repeating: 0.5, count: 4)
      let levels = Levels(uniform: 3)
      let start = rows.map { levels.integer(nearest: $0 / 0.5) }
      func whole(_ integers: [Int8], _ steps: [Double]) -> Double {
        let matrix = product(outer, inner)
        return (0..<3).reduce(0) { sum, row in
          let places = row * width..<(row + 1) * width
          let rest = places.map { rows[$0] - Double(integers[$0]) * steps[channels[$0]] }
          return sum + error(matrix, rest, Array(repeating: 0, count: width), 1)
        }
      }
      for hasFreeSteps in [false, true] {
        var descent = GridDescent(feedback, rows, start, channels: channels, steps: steps, levels: levels)
        #expect(abs(descent.error - whole(start, steps)) <= 1e-9 * descent.error)
        descent.run(storable: hasFreeSteps ? { $0 } : nil)
        let after = whole(descent.integers, descent.steps)
        #expect(abs(descent.error - after) <= 1e-8 * whole(start, steps))
        #expect(after < whole(start, steps))
        #expect(hasFreeSteps || descent.steps == steps)
        // No integer alone can be better.
        for place in rows.indices {
          for change in [-1, 1] where abs(Int(descent.integers[place]) + change) <= 3 {
            var other = descent.integers
            other[place] += Int8(change)
            if !hasFreeSteps { #expect(whole(other, steps) >= after * (1 - 1e-3)) }
          }
        }
      }
    }
  }

  /// From error feedback it comes closer to the best of all.
  @Test func improvesErrorFeedback() throws {
    var (fed, improved) = (0.0, 0.0)
    for seed in 0..<20 {
      var generator = SplitMix64(seed: UInt64(100 + seed))
      let matrix = norm(12, &generator)
      let rows = Tensor<Double>(gaussian: [12 * 8], using: &generator).elements
      let feedback = try ErrorFeedback(outer: one, inner: matrix, damping: 0)
      let rounded = feedback.rounded(rows, steps: Array(repeating: 0.8, count: 96), levels: Levels(uniform: 1))
      var descent = GridDescent(
        feedback, rows, rounded.integers, channels: rows.indices.map { $0 / 12 },
        steps: Array(repeating: 0.8, count: 8),
        levels: Levels(uniform: 1))
      descent.run(storable: { $0 })
      fed += rounded.errors.reduce(0, +)
      improved += descent.error
    }
    #expect(improved < 0.9 * fed)
  }
}
