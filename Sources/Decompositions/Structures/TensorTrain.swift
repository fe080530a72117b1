import Basics
import TensorCore

/// The tensor train (Oseledets, 2011): a chain of factors over (out, in, spatial) or over all modes, in any order. A linear
/// layer has two modes, which makes a low rank, or digits of them as in the TT-matrix (Novikov et al., 2015).
public struct TensorTrain: Structure {
  public let name = "tt"

  /// The structure has no settings.
  public init() {}

  public func rankAxes(shapes: [[Int]]) -> [[Int]]? {
    shapes.indices.map { k in k == 0 ? [0] : k == shapes.count - 1 ? [k - 1] : [k - 1, k] }
  }

  public func proposals(_ spectra: KernelSpectra, parameters: Int) throws -> [FactorPattern] {
    let scored = try forms(of: spectra.kernel.shape).compactMap { form -> (pattern: FactorPattern, score: Double)? in
      // The sum of the tails at all bonds bounds the squared error of the TT-SVD.
      let tails = try (0..<form.rankCount).map { try spectra.tails(leading: Self.leading(form, through: $0)) }
      return RankChoice.best(form, parameters: parameters, limits: tails.map { $0.count - 1 }) { ranks in
        ranks.indices.reduce(0) { $0 + tails[$1][ranks[$1]] }
      }
    }
    return scored.sorted { $0.score < $1.score }.map(\.pattern)
  }

  /// Cut at any bond, a train has at most the bond's rank, so no tail can be won back. The sum of the tails bounds the TT-SVD from
  /// above, and fits gain less than a sixth on it.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  public func outlook(_ spectra: KernelSpectra, _ pattern: FactorPattern) throws -> Double {
    let tails = try pattern.ranks.enumerated().map {
      try spectra.tail(leading: Self.leading(pattern.form, through: $0.offset), rank: $0.element)
    }
    return max(tails.max().required("a train has a bond"), 0.7 * tails.reduce(0, +))
  }

  public func start(_ kernel: Tensor<Double>, _ pattern: FactorPattern) throws -> Factorization? {
    try TensorTrainSVD.train(kernel, pattern)
  }

  private func forms(of kernelShape: [Int]) -> [FactorForm] {
    var result: [FactorForm] = []
    for groups in ModeGroups.all(kernelShape) where groups.count >= 2 {
      // A chain read backwards is the same. Beyond four modes the spatial ones keep their order.
      for order in groups.permutations where order[0][0] <= order[order.count - 1][0] {
        let spatial = order.joined().filter { $0 >= 2 }
        guard groups.count <= 4 || spatial == spatial.sorted() else { continue }
        let shapes = ModeGroups.shapes(order, of: kernelShape)
        rankAxes(shapes: shapes).map { result.append(FactorForm(shapes: shapes, rankAxes: $0)) }
      }
    }
    return result + matrixForms(of: kernelShape)
  }

  /// Trains of three factors over digits of a matrix's rows and columns.
  private func matrixForms(of kernelShape: [Int]) -> [FactorForm] {
    guard kernelShape.dropFirst(2).allSatisfy({ $0 == 1 }) else { return [] }
    let (rows, columns) = (kernelShape[0], kernelShape[1])
    let rest = kernelShape.dropFirst(2)
    return [2, 4, 8].flatMap { middle -> [FactorForm] in
      guard rows % middle == 0, columns % middle == 0, rows > middle, columns > middle else { return [] }
      let choices: [[[Int]]] = [
        [[rows / middle, 1], [middle, middle], [1, columns / middle]],
        [[1, columns / middle], [middle, middle], [rows / middle, 1]],
      ]
      return choices.compactMap { digits in
        let shapes = digits.map { $0 + rest }
        return rankAxes(shapes: shapes).map { FactorForm(shapes: shapes, rankAxes: $0) }
      }
    }
  }

  /// The digits before the bond of a rank, as one factor.
  private static func leading(_ form: FactorForm, through rank: Int) -> [Int] {
    form.shapes[0...rank].dropFirst().reduce(form.shapes[0]) { zip($0, $1).map { $0.0 * $0.1 } }
  }
}
