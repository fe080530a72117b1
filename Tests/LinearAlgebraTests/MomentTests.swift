import Basics
import LinearAlgebra
import TensorCore
import Testing

@Suite struct MomentTests {
  private func rows(_ count: Int, seed: UInt64) -> Tensor<Float> {
    var generator = SplitMix64(seed: seed)
    return Tensor(gaussian: [count, 3], using: &generator)
  }

  private func moments(_ rows: Tensor<Float>) -> Moments {
    var sums = MomentSums(rows: 3, columns: 3)
    sums.add(products: rows.times(rows, transposed: true).elements)
    sums.add(
      sums: (0..<3).map { column in (0..<rows.shape[0]).reduce(0) { $0 + rows[[$1, column]] } }, count: rows.shape[0])
    return sums.moments
  }

  @Test func momentsAreMeansOverObservations() {
    let x = rows(7, seed: 1)
    let moments = moments(x)
    #expect(moments.count == 7)
    for i in 0..<3 {
      let mean = (0..<7).reduce(0.0) { $0 + Double(x[[$1, i]]) } / 7
      #expect(abs(moments.mean[i] - mean) < 1e-6)
      for j in 0..<3 {
        let product = (0..<7).reduce(0.0) { $0 + Double(x[[$1, i]]) * Double(x[[$1, j]]) } / 7
        #expect(abs(moments.second[[i, j]] - product) < 1e-6)
      }
    }
  }

  @Test func partsJoinToTheWhole() {
    let (a, b) = (rows(4, seed: 2), rows(9, seed: 3))
    let whole = moments(Tensor(shape: [13, 3], elements: a.elements + b.elements))
    let joined = moments(a).joined(with: moments(b))
    #expect(joined.count == 13)
    #expect(joined.second.relativeDiscrepancy(from: whole.second) < 1e-6)
    #expect(zip(joined.mean, whole.mean).allSatisfy { abs($0 - $1) < 1e-6 })
    let none = Moments(mean: [0, 0, 0], second: Tensor(zeros: [3, 3]), count: 0)
    #expect(none.joined(with: none) == none)
  }
}
