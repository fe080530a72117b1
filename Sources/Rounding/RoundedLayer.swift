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
  /// - Throws: `Failure` where the norm's matrix has no Cholesky factor.
  package init(dense objectives: [FitObjective], of convolution: Convolution, width: BitWidth) throws {
    let parts = try objectives.map { try DenseRounding($0, width: width).result }
    let shape = convolution.kernelShape
    weights = [
      RoundedTensor(
        shape: shape, width: width, integers: parts.flatMap(\.integers), scales: parts.flatMap(\.scales))
    ]
    kernel = weights[0].values
    outputDiscrepancy = Self.pooled(zip(objectives, kernel.groups(objectives.count)).map { $0.0.distance(to: $0.1) }, objectives)
  }

  /// Rounds the factors of a fitted layer.
  ///
  /// - Parameters:
  ///   - layer: what `candidate` was fitted to.
  ///   - objectives: for each of the layer's groups the kernel and the norm.
  /// - Throws: `Failure` where LAPACK does not converge.
  package init(
    _ layer: FittedLayer, of candidate: Candidate, towards objectives: [FitObjective], width: BitWidth
  ) throws {
    try self.init(layer.factorizations, of: candidate, towards: objectives, width: width)
  }

  /// Rounds the factors of the layer's groups.
  ///
  /// - Parameter passes: in which rounded factors are solved for and rounded again.
  package init(
    _ factorizations: [Factorization], of candidate: Candidate, towards objectives: [FitObjective], width: BitWidth,
    passes: Int = 2
  ) throws {
    let results = try zip(factorizations, objectives).map {
      try FactorRounding.rounded($0, candidate.lowering, towards: $1, width: width, passes: passes)
    }
    weights = candidate.lowering.convolutions.indices.map { index in
      RoundedTensor(
        shape: candidate.lowering.convolutions[index].kernelShape, width: width,
        integers: results.flatMap { $0.parts[index].integers }, scales: results.flatMap { $0.parts[index].scales })
    }
    let blocks = results.map { $0.factorization.reconstruct() }
    kernel = Tensor(groupBlocks: blocks)
    outputDiscrepancy = Self.pooled(zip(objectives, blocks).map { $0.distance(to: $1) }, objectives)
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

extension Tensor where Scalar == Double {
  /// The kernels of the groups of a layer.
  fileprivate func groups(_ count: Int) -> [Tensor] {
    guard count > 1 else { return [self] }
    let size = elements.count / count
    return (0..<count).map {
      Tensor(shape: [shape[0] / count] + shape.dropFirst(), elements: Array(elements[$0 * size..<($0 + 1) * size]))
    }
  }
}
