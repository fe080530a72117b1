import Basics
import Decompositions
import ModelGraph
import TensorCore

/// A layer whose weights are integers with scales.
package struct RoundedLayer: Sendable {
  /// The weights of the stages' convolutions, in their order and shapes.
  package let weights: [RoundedTensor]
  /// The kernel (out, in / groups, spatial...) that they stand for.
  package let kernel: Tensor<Double>
  /// ||W - What|| in the norm of the fit, as a part of ||W||.
  package let outputDiscrepancy: Double

  /// The relative discrepancy from a kernel in the norm of the weights.
  package func discrepancy(from kernel: Tensor<Double>) -> Double { self.kernel.relativeDiscrepancy(from: kernel) }
}

extension RoundedLayer {
  /// Rounds a dense kernel.
  ///
  /// - Parameters:
  ///   - objectives: for each of the layer's groups the kernel and the norm.
  ///   - convolution: of the layer.
  ///   - storage: other than `float`; `levels` for a layer without groups.
  /// - Throws: `Failure` where the norm's matrix has no Cholesky factor.
  package init(dense objectives: [FitObjective], of convolution: Convolution, storage: WeightStorage) throws {
    let parts = try objectives.map { try DenseRounding($0, storage: storage).result }
    let shape = convolution.kernelShape
    weights = [Self.weight(shape, storage, parts)]
    kernel = weights[0].values
    outputDiscrepancy = Self.pooled(
      zip(objectives, try kernel.groupBlocks(convolution.groups, shape: convolution.kernelShapePerGroup)).map {
        $0.0.distance(to: $0.1)
      }, objectives)
  }

  /// Rounds the factors of a fitted layer.
  ///
  /// - Parameters:
  ///   - layer: what `candidate` was fitted to.
  ///   - objectives: for each of the layer's groups the kernel and the norm.
  ///   - storage: other than `float`; `levels` for a layer without groups.
  /// - Throws: `Failure` where LAPACK does not converge.
  package init(
    _ layer: FittedLayer, of candidate: Candidate, towards objectives: [FitObjective], storage: WeightStorage
  ) throws {
    try self.init(layer.factorizations, of: candidate, towards: objectives, storage: storage)
  }

  /// Rounds the factors of the layer's groups.
  ///
  /// - Parameter passes: in which rounded factors are solved for and rounded again.
  package init(
    _ factorizations: [Factorization], of candidate: Candidate, towards objectives: [FitObjective],
    storage: WeightStorage, passes: Int = 2
  ) throws {
    let results = try zip(factorizations, objectives).map {
      try FactorRounding.rounded(
        $0, candidate.lowering, towards: $1, storage: storage, hasScales: candidate.stages.hasScales,
        passes: passes)
    }
    weights = candidate.lowering.convolutions.indices.map { index in
      Self.weight(candidate.lowering.convolutions[index].kernelShape, storage, results.map { $0.parts[index] })
    }
    let blocks = results.map { $0.factorization.reconstruct() }
    kernel = Tensor(groupBlocks: blocks)
    outputDiscrepancy = Self.pooled(zip(objectives, blocks).map { $0.distance(to: $1) }, objectives)
  }

  /// One weight of the parts that a layer's groups have of it.
  private static func weight(
    _ shape: [Int], _ storage: WeightStorage, _ parts: [(integers: [Int8], scales: [Float], levels: Levels)]
  ) -> RoundedTensor {
    precondition(
      storage.hasScaleOfEachChannel || parts.count == 1, "the groups of a layer have grids of their own")
    return RoundedTensor(
      shape: shape, width: storage.width.required("what is rounded has a width"),
      integers: parts.flatMap(\.integers), scales: parts.flatMap(\.scales), levels: parts.first?.levels)
  }

  private static func pooled(_ distances: [Double], _ objectives: [FitObjective]) -> Double {
    let whole = objectives.reduce(0) { $0 + $1.norm * $1.norm }.squareRoot()
    let distance = distances.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return whole > 0 ? distance / whole : (distance == 0 ? 0 : .infinity)
  }
}

extension FitObjective {
  /// ||W - What|| in the norm.
  fileprivate func distance(to approximation: Tensor<Double>) -> Double {
    norm > 0 ? discrepancy(of: approximation) * norm : approximation.norm
  }
}
