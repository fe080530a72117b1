import Basics
import Decompositions
import ModelGraph
import TensorCore

/// Seeded standard-normal elements.
func gaussian(_ shape: [Int], seed: UInt64 = 1) -> Tensor<Double> {
  var generator = SplitMix64(seed: seed)
  return Tensor(gaussian: shape, using: &generator)
}

/// Random factors of a pattern.
func gaussianFactors(_ pattern: FactorPattern, seed: UInt64) -> Factorization {
  Factorization(
    pattern,
    factors: pattern.shapes.indices.map { gaussian(pattern.factorShape($0), seed: seed &+ UInt64($0)) })
}

func unitConvolution(_ shape: [Int]) -> Convolution {
  Convolution(kernelShape: shape, window: .unit(shape.count - 2))
}

/// One pattern of every kind for a kernel of 12 x 8 x 3 x 3.
let samplePatterns: [(structure: String, shapes: [[Int]], ranks: [Int])] = [
  ("svd", [[12, 1, 1, 3], [1, 8, 3, 1]], [3]),
  ("gkpd", [[4, 2, 1, 3], [3, 4, 3, 1]], [2]),
  ("cp", [[12, 1, 1, 1], [1, 8, 1, 1], [1, 1, 3, 3]], [3]),
  ("cp", [[12, 1, 1, 1], [1, 8, 1, 1], [1, 1, 3, 1], [1, 1, 1, 3]], [2]),
  ("tucker", [[12, 1, 1, 1], [1, 1, 3, 3], [1, 8, 1, 1]], [4, 3]),
  ("tucker", [[12, 1, 1, 1], [1, 8, 1, 1], [1, 1, 3, 3], [1, 1, 1, 1]], [4, 3, 2]),
  ("tt", [[1, 8, 1, 1], [1, 1, 3, 3], [12, 1, 1, 1]], [3, 2]),
  ("tt", [[1, 1, 3, 1], [12, 1, 1, 1], [1, 8, 1, 1], [1, 1, 1, 3]], [2, 3, 2]),
  ("tr", [[12, 1, 1, 1], [1, 1, 3, 3], [1, 8, 1, 1]], [2, 2, 2]),
  ("sekron", [[2, 1, 3, 1], [2, 8, 1, 1], [3, 1, 1, 3]], [3, 2]),
  ("sekron", [[3, 1, 1, 1], [2, 2, 1, 3], [2, 2, 3, 1], [1, 2, 1, 1]], [2, 2, 1]),
]

func samplePattern(_ index: Int) throws -> FactorPattern {
  let sample = samplePatterns[index]
  return try Structures.named(sample.structure).pattern(
    shapes: sample.shapes, ranks: sample.ranks, kernelShape: [12, 8, 3, 3])
}
