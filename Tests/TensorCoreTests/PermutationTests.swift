import Basics
import TensorCore
import Testing

@Suite struct PermutationTests {
  /// Element (i_0, i_1, ...) of the result is the element of `tensor` whose mode `order[n]` has the index i_n.
  private func permutedByFormula(_ tensor: Tensor<Float>, _ order: [Int]) -> [Float] {
    let shape = order.map { tensor.shape[$0] }
    let strides = Tensor<Float>.strides(of: tensor.shape)
    return (0..<tensor.count).map { position in
      var rest = position
      var source = 0
      for mode in shape.indices.reversed() {
        source += rest % shape[mode] * strides[order[mode]]
        rest /= shape[mode]
      }
      return tensor.elements[source]
    }
  }

  @Test(arguments: 0...6)
  func agreesWithTheIndexFormula(order: Int) {
    var generator = SplitMix64(seed: UInt64(order))
    for _ in 0..<40 {
      let shape = (0..<order).map { _ in Int.random(in: 1...(order < 4 ? 23 : 5), using: &generator)
      }
      let permutation = Array(0..<order).shuffled(using: &generator)
      let tensor = Tensor<Float>(gaussian: shape, using: &generator)
      let result = tensor.permuted(permutation)
      #expect(result.shape == permutation.map { shape[$0] })
      #expect(
        result.elements == permutedByFormula(tensor, permutation), "\(shape) by \(permutation)")
    }
  }

  @Test func theInverseRestores() {
    var generator = SplitMix64(seed: 1)
    let tensor = Tensor<Double>(gaussian: [3, 17, 2, 33], using: &generator)
    let order = [2, 0, 3, 1]
    let inverse = order.indices.map { mode in order.firstIndex(of: mode) ?? 0 }
    #expect(tensor.permuted(order).permuted(inverse) == tensor)
  }

  @Test func anEmptyTensorKeepsItsPermutedShape() {
    #expect(Tensor<Float>(zeros: [2, 0, 3]).permuted([2, 1, 0]).shape == [3, 0, 2])
  }

  @Test func stridesAreRowMajor() {
    #expect(Tensor<Float>.strides(of: [2, 3, 4]) == [12, 4, 1])
    #expect(Tensor<Float>.strides(of: []) == [])
    let counting = Tensor<Double>(shape: [2, 3, 4], elements: (0..<24).map(Double.init))
    #expect(counting[[1, 2, 3]] == 23)
    #expect(counting[[1, 0, 2]] == 14)
  }
}
