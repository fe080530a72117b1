import Basics
import TensorCore

/// The Tucker decomposition: a core between projections. Tucker-2 projects output and input channels and leaves the spatial
/// axes to the core; Tucker over all modes projects these too. A matrix needs no core and is a low rank.
public struct Tucker: Structure {
  public let name = "tucker"

  /// The structure has no settings.
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

  /// The position of the core: the factor without digits, else the second one, which is both core and digits.
  static func core(of shapes: [[Int]]) -> Int {
    shapes.firstIndex { $0.allSatisfy { $0 == 1 } } ?? 1
  }

  public func proposals(_ spectra: KernelSpectra, parameters: Int) throws -> [FactorPattern] {
    let scored = try forms(of: spectra.kernel.shape).compactMap { form -> (pattern: FactorPattern, score: Double)? in
      let error = try Self.truncationError(form, spectra)
      let limits = (0..<form.rankCount).map { Self.projected(form, $0).reduce(1, *) }
      return RankChoice.best(form, parameters: parameters, limits: limits, score: error)
    }
    return scored.sorted { $0.score < $1.score }.map(\.pattern)
  }

  /// The truncated HOSVD is close to the best: fits gain less than a tenth on it.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  public func outlook(_ spectra: KernelSpectra, _ pattern: FactorPattern) throws -> Double {
    0.8 * (try Self.truncationError(pattern.form, spectra)(pattern.ranks))
  }

  /// The squared error of the truncated HOSVD for any ranks of a form.
  private static func truncationError(
    _ form: FactorForm, _ spectra: KernelSpectra
  ) throws -> ([Int]) -> Double {
    // The groups of modes that are projected, and those that the core keeps, in one HOSVD.
    let groups = form.shapes.filter { $0.contains { $0 > 1 } }
    let errors = try spectra.truncationErrors(groups)
    let rankOfGroup = groups.map { group in
      form.shapes.firstIndex(of: group).flatMap { form.rankAxes[$0].count == 1 ? form.rankAxes[$0][0] : nil }
    }
    return { ranks in errors.error(rankOfGroup.map { $0.map { ranks[$0] } }) }
  }

  /// The modes that the projection with a rank has.
  private static func projected(_ form: FactorForm, _ rank: Int) -> [Int] {
    let projection = form.shapes.indices.first { form.rankAxes[$0] == [rank] }
    return form.shapes[projection.required("every rank has a projection")]
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
