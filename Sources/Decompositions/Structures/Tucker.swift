import TensorCore

/// The Tucker decomposition: a core between projections. Tucker-2 projects output and input channels and leaves the spatial
/// axes to the core; Tucker over all modes projects these too. A matrix needs no core and is a low rank.
public struct Tucker: Structure {
  public let name = "tucker"

  public init() {}

  /// The core is the factor without digits, else, for Tucker-2, the middle one.
  public func rankAxes(shapes: [[Int]]) -> [[Int]]? {
    guard ModeGroups.areWhole(shapes) else { return nil }
    if shapes.count == 2 { return KroneckerSum.rankAxes }
    let core = Self.core(of: shapes)
    var rank = -1
    return shapes.indices.map { k in
      if k == core { return Array(0..<shapes.count - 1) }
      rank += 1
      return [rank]
    }
  }

  static func core(of shapes: [[Int]]) -> Int {
    shapes.firstIndex { $0.allSatisfy { $0 == 1 } } ?? 1
  }

  public func proposals(_ spectra: KernelSpectra, parameters: Int) throws -> [FactorPattern] {
    let scored = try forms(of: spectra.kernel.shape).compactMap { form in
      try RankChoice.best(form, parameters: parameters) { rank in
        try spectra.tails(leading: Self.projected(form, rank))
      }
    }
    return scored.sorted { $0.score < $1.score }.map(\.pattern)
  }

  /// A mode's unfolding has at most the rank of its projection.
  public func bound(_ spectra: KernelSpectra, _ pattern: FactorPattern) throws -> Double {
    try pattern.ranks.enumerated().reduce(0) { bound, rank in
      max(bound, try spectra.tail(leading: Self.projected(pattern.form, rank.offset), rank: rank.element))
    }
  }

  /// The modes that the projection with a rank has.
  private static func projected(_ form: FactorForm, _ rank: Int) -> [Int] {
    let projection = form.shapes.indices.first { form.rankAxes[$0] == [rank] }
    return form.shapes[projection ?? 0]
  }

  public func start(_ kernel: Tensor<Double>, _ pattern: FactorPattern) throws -> Factorization? {
    pattern.factorCount == 2
      ? try KroneckerSum.factors(kernel, pattern)
      : try HOSVD.factors(kernel, pattern, core: Self.core(of: pattern.shapes))
  }

  private func forms(of kernelShape: [Int]) -> [FactorForm] {
    let choices: [[[Int]]] = ModeGroups.all(kernelShape).flatMap { groups -> [[[Int]]] in
      switch groups.count {
      case 0, 1: return []
      case 2: return [ModeGroups.shapes(groups, of: kernelShape)]
      default:
        let full = ModeGroups.shapes(groups + [[]], of: kernelShape)
        guard groups.count == 3, groups[0] == [0], groups[1] == [1] else { return [full] }
        return [ModeGroups.shapes([[0], groups[2], [1]], of: kernelShape), full]
      }
    }
    return choices.compactMap { shapes in
      rankAxes(shapes: shapes).map { FactorForm(shapes: shapes, rankAxes: $0) }
    }
  }
}
