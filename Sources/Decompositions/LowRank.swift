import ModelGraph
import TensorCore

/// The truncated SVD of the kernel as a matrix, in one of three splits: (out) x (in, spatial), (out, spatial) x (in) and,
/// for two spatial axes, (out, width) x (in, height).
public struct LowRank: Structure {
  public let name = "svd"
  public let rankAxes = KroneckerSum.rankAxes

  public init() {}

  public func shapes(for kernelShape: [Int]) -> [[[Int]]] {
    guard kernelShape.count >= 2, kernelShape.allSatisfy({ $0 > 0 }) else { return [] }
    let ones = kernelShape.map { _ in 1 }
    // For each split, the modes of the factor that runs last.
    var splits: [Set<Int>] = [[0]]
    if kernelShape.dropFirst(2).contains(where: { $0 > 1 }) {
      splits.append(Set(kernelShape.indices).subtracting([1]))
    }
    if kernelShape.count == 4, kernelShape[2] > 1, kernelShape[3] > 1 { splits.append([0, 3]) }
    return splits.map { last in
      [
        kernelShape.indices.map { last.contains($0) ? kernelShape[$0] : ones[$0] },
        kernelShape.indices.map { last.contains($0) ? ones[$0] : kernelShape[$0] },
      ]
    }
  }

  public func scores(of kernel: Tensor<Double>, shapes: [[[Int]]]) throws -> [Score] {
    try shapes.flatMap { try KroneckerSum.scores(of: kernel, shapes: $0) }
  }

  public func fit(_ kernel: Tensor<Double>, to pattern: FactorPattern) throws -> Fit {
    try KroneckerSum.fit(kernel, to: pattern)
  }

  public func lowering(of pattern: FactorPattern) -> Lowering { KroneckerSum.lowering(of: pattern) }
}
