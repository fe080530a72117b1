import TensorCore

/// The tensor ring (Zhao et al., 2016): a chain of factors whose ends are tied as well, over (out, spatial, in) or all modes.
/// Over two modes it is the low rank.
public struct TensorRing: Structure {
  public let name = "tr"
  public let needsTrials = true

  /// The structure has no settings.
  public init() {}

  public func rankAxes(shapes: [[Int]]) -> [[Int]]? {
    guard shapes.count > 2 else { return KroneckerSum.rankAxes }
    return shapes.indices.map { k in k == 0 ? [shapes.count - 1, 0] : [k - 1, k] }
  }

  /// Rings whose ranks differ by a factor of 4 at most: which of them wins cannot be told from spectra, but the best is always
  /// close to balance.
  public func proposals(_ spectra: KernelSpectra, parameters: Int) throws -> [FactorPattern] {
    let ratios: [Double] = [1, 0.5, 2, 0.25, 4]
    var seen: Set<FactorPattern> = []
    return forms(of: spectra.kernel.shape).flatMap { form in
      // Each rank in turn against the others, which stay equal.
      ratios.flatMap { ratio in
        (0..<(ratio == 1 ? 1 : form.rankCount)).compactMap { odd -> FactorPattern? in
          let ranks = (0..<form.rankCount).map { $0 == odd ? Int(16 * ratio) : 16 }
          guard let pattern = FactorPattern(form, ranks: ranks).scaled(toParameters: parameters),
            seen.insert(pattern).inserted
          else { return nil }
          return pattern
        }
      }
    }
  }

  public func neighbours(of pattern: FactorPattern, parameters: Int) -> [FactorPattern] {
    RankChoice.trades(pattern, parameters: parameters)
  }

  public func start(_ kernel: Tensor<Double>, _ pattern: FactorPattern) throws -> Factorization? {
    pattern.factorCount == 2
      ? try KroneckerSum.factors(kernel, pattern) : try TensorTrainSVD.ring(kernel, pattern)
  }

  private func forms(of kernelShape: [Int]) -> [FactorForm] {
    ModeGroups.all(kernelShape).filter { $0.count >= 2 }.compactMap { groups in
      // Output and input channels stand apart, as the spatial axes tie them.
      let ring = groups.count > 2 ? [groups[0]] + groups.dropFirst(2) + [groups[1]] : groups
      let shapes = ModeGroups.shapes(ring, of: kernelShape)
      return rankAxes(shapes: shapes).map { FactorForm(shapes: shapes, rankAxes: $0) }
    }
  }
}
