import TensorCore

/// The truncated SVD of the kernel as a matrix, in one of three splits: (out) x (in, spatial), (out, spatial) x (in) and,
/// for two spatial axes, (out, width) x (in, height).
public struct LowRank: Structure {
  public let name = "svd"
  public let startIsOptimal = true

  /// The structure has no settings.
  public init() {}

  public func rankAxes(shapes: [[Int]]) -> [[Int]]? {
    shapes.count == 2 && ModeGroups.areWhole(shapes) ? KroneckerSum.rankAxes : nil
  }

  public func proposals(_ spectra: KernelSpectra, parameters: Int) throws -> [FactorPattern] {
    try KroneckerSum.proposals(Self.splits(of: spectra.kernel.shape), spectra, parameters: parameters)
  }

  public func start(_ kernel: Tensor<Double>, _ pattern: FactorPattern) throws -> Factorization? {
    try KroneckerSum.factors(kernel, pattern)
  }

  private static func splits(of kernelShape: [Int]) -> [[[Int]]] {
    guard kernelShape.count >= 2 else { return [] }
    // For each split, the modes of the factor that runs last.
    var splits: [[Int]] = [[0]]
    if kernelShape.dropFirst(2).contains(where: { $0 > 1 }) {
      splits.append(kernelShape.indices.filter { $0 != 1 })
    }
    if kernelShape.count == 4, kernelShape[2] > 1, kernelShape[3] > 1 { splits.append([0, 3]) }
    return splits.map { last in
      ModeGroups.shapes([last, kernelShape.indices.filter { !last.contains($0) }], of: kernelShape)
    }
  }
}
