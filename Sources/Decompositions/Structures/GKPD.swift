import TensorCore

/// The generalised Kronecker product decomposition (Hameed et al., AAAI 2022): a sum of Kronecker products, with every way to
/// split the kernel's extents into two digits.
public struct GKPD: Structure {
  public let name = "gkpd"
  public let startIsOptimal = true

  /// The structure has no settings.
  public init() {}

  public func rankAxes(shapes: [[Int]]) -> [[Int]]? {
    shapes.count == 2 ? KroneckerSum.rankAxes : nil
  }

  public func proposals(_ spectra: KernelSpectra, parameters: Int) throws -> [FactorPattern] {
    let choices = Self.shapes(of: spectra.kernel.shape).filter { spectra.isAffordable(leading: $0[0]) }
    return try KroneckerSum.proposals(choices, spectra, parameters: parameters)
  }

  public func start(_ kernel: Tensor<Double>, _ pattern: FactorPattern) throws -> Factorization? {
    try KroneckerSum.factors(kernel, pattern)
  }

  /// Every pair of divisor shapes of which neither is a scalar. Where every mode belongs to one factor entirely, the order of the
  /// factors changes nothing but the cost of running them, and one of the two is left out.
  public static func shapes(of kernelShape: [Int]) -> [[[Int]]] {
    guard kernelShape.count >= 2 else { return [] }
    let leading = kernelShape.reduce([[]] as [[Int]]) { shapes, extent in
      let divisors = (1...max(1, extent)).filter { extent % $0 == 0 }
      return shapes.flatMap { prefix in divisors.map { prefix + [$0] } }
    }
    return leading.compactMap { a -> [[Int]]? in
      let b = zip(kernelShape, a).map { $0 / $1 }
      guard a.contains(where: { $0 > 1 }), b.contains(where: { $0 > 1 }) else { return nil }
      let isRepeated = ModeGroups.areWhole([a, b]) && a.lexicographicallyPrecedes(b)
      return isRepeated ? nil : [a, b]
    }
  }
}
