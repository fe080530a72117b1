import TensorCore

/// Which factors a structure has and which ranks tie them, before the extents of the ranks: what every structure shares.
///
/// As in a Kronecker product, every kernel mode n is seen as one digit for each factor, `shapes[k][n]` the extent of factor
/// k's digit, factor 0 the most significant (papers: SeKron, section "Definition"). Besides its digits a factor has
/// rank axes; a rank that several factors share is summed over. CP, Tucker, TT, TR, SeKron, GKPD and the low rank differ
/// in nothing but `shapes` and `rankAxes`.
public struct FactorForm: Sendable, Hashable {
  /// The digits: for each factor its extent in every kernel mode (out, in, spatial...).
  public let shapes: [[Int]]
  /// The ranks: for each factor those that are its axes, behind the digits.
  public let rankAxes: [[Int]]

  /// A form with these digits and ranks.
  ///
  /// - Precondition: every factor has a digit for every mode, and every rank occurs in at least two factors.
  public init(shapes: [[Int]], rankAxes: [[Int]]) {
    precondition(shapes.count == rankAxes.count, "\(shapes) and \(rankAxes) differ in count")
    precondition(Set(shapes.map(\.count)).count == 1, "the factors \(shapes) differ in order")
    let count = (rankAxes.joined().max() ?? -1) + 1
    precondition(
      (0..<count).allSatisfy { rank in rankAxes.count { $0.contains(rank) } >= 2 },
      "a rank of \(rankAxes) ties no two factors together")
    self.shapes = shapes
    self.rankAxes = rankAxes
  }

  /// The count of factors.
  public var factorCount: Int { shapes.count }
  /// The count of ranks.
  public var rankCount: Int { (rankAxes.joined().max() ?? -1) + 1 }

  /// The kernel's shape: in every mode the product of the digits.
  public var kernelShape: [Int] {
    shapes.dropFirst().reduce(shapes[0]) { zip($0, $1).map { $0.0 * $0.1 } }
  }

  /// The elements of one slice of factor k: the product of its digits.
  public func modeCount(_ k: Int) -> Int { shapes[k].reduce(1, *) }

  /// The factors that have a rank.
  public func members(ofRank rank: Int) -> [Int] {
    shapes.indices.filter { rankAxes[$0].contains(rank) }
  }

  /// Whether the ranks tie all factors together, directly or through others.
  var isConnected: Bool {
    var reached: Set<Int> = Set(rankAxes[0])
    var rest = Array(rankAxes.dropFirst())
    while let next = rest.firstIndex(where: { !reached.isDisjoint(with: $0) }) {
      reached.formUnion(rest.remove(at: next))
    }
    return rest.isEmpty
  }

  /// Whether the factors form a tree: every rank ties two of them, and there is one way from each to each other. Such
  /// approximations are a closed set, so a best one exists; of CP, rings and SeKron that is not true.
  var isTree: Bool {
    isConnected && rankCount == factorCount - 1 && (0..<rankCount).allSatisfy { members(ofRank: $0).count == 2 }
  }

  /// The order that turns a kernel, its modes split into digits, into (digits of factor 0, digits of factor 1, ...).
  private var digitOrder: [Int] {
    let (factors, modes) = (shapes.count, shapes[0].count)
    return (0..<factors).flatMap { k in (0..<modes).map { $0 * factors + k } }
  }

  /// The kernel rearranged to one mode for each factor; for two factors this is the papers' Mat(W; a, b).
  ///
  /// - Precondition: `kernel` has the shape `kernelShape`.
  public func rearranged(_ kernel: Tensor<Double>) -> Tensor<Double> {
    precondition(kernel.shape == kernelShape, "\(kernel.shape) is not \(kernelShape)")
    let digits = kernelShape.indices.flatMap { mode in shapes.map { $0[mode] } }
    return kernel.reshaped(digits).permuted(digitOrder)
      .reshaped(shapes.indices.map(modeCount))
  }

  /// The inverse of `rearranged`.
  public func kernel(from rearranged: Tensor<Double>) -> Tensor<Double> {
    rearranged.reshaped(shapes.flatMap { $0 }).permuted(digitOrder.inversePermutation)
      .reshaped(kernelShape)
  }
}
