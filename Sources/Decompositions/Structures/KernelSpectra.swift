import LinearAlgebra
import TensorCore

/// The singular values of a kernel's rearrangements, each computed once. They bound what any structure can reach: splitting a
/// kernel by digits, no structure whose factors meet in rank r across the split is better than the tail beyond r.
public final class KernelSpectra {
  /// The kernel whose spectra these are.
  public let kernel: Tensor<Double>
  /// The most multiply-accumulates that one spectrum may cost.
  private let workLimit: Double
  private var known: [[Int]: [Double]] = [:]
  private var errors: [[[Int]]: HOSVDErrors] = [:]

  /// The spectra of one kernel, of which none is known yet.
  ///
  /// - Parameters:
  ///   - kernel: (out, in, spatial...), finite.
  ///   - workLimit: multiply-accumulates for one spectrum at most.
  public init(_ kernel: Tensor<Double>, workLimit: Double = .infinity) {
    self.kernel = kernel
    self.workLimit = workLimit
  }

  /// Whether the spectrum of a split is within the limit of work: its Gram matrix and its eigenvalues.
  func isAffordable(leading: [Int]) -> Bool {
    let rows = leading.reduce(1, *)
    let side = Double(min(rows, kernel.count / max(1, rows)))
    return side * Double(kernel.count) + 4 * side * side * side <= workLimit
  }

  /// Element r is the part of the squared norm beyond the first r singular values of Mat(W; a, b), from r = 0 to full rank.
  ///
  /// - Parameter leading: a, the digits of the first factor; b is what is left of the kernel's shape.
  /// - Throws: `Failure` where LAPACK does not converge.
  public func tails(leading: [Int]) throws -> [Double] {
    if let tails = known[leading] { return tails }
    let trailing = zip(kernel.shape, leading).map { $0 / $1 }
    let form = FactorForm(shapes: [leading, trailing], rankAxes: KroneckerSum.rankAxes)
    let matrix = form.rearranged(kernel)
    let values = try SymmetricEigendecomposition.values(of: matrix.gram(ofColumns: matrix.shape[0] > matrix.shape[1]))
    // From the smallest value up, so that small tails keep their digits.
    var sums = [Double](repeating: 0, count: values.count + 1)
    for i in values.indices.reversed() { sums[i] = sums[i + 1] + max(0, values[i]) }
    let tails = sums.map { sums[0] > 0 ? $0 / sums[0] : 0 }
    known[leading] = tails
    // Where every mode belongs to one factor entirely, the split read backwards is the same.
    if ModeGroups.areWhole([leading, trailing]) { known[trailing] = tails }
    return tails
  }

  /// What the truncated HOSVD over groups of modes leaves out, for any ranks.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  public func truncationErrors(_ shapes: [[Int]]) throws -> HOSVDErrors {
    if let errors = errors[shapes] { return errors }
    let result = try HOSVDErrors(kernel, shapes)
    errors[shapes] = result
    return result
  }

  /// The tail beyond one rank.
  func tail(leading: [Int], rank: Int) throws -> Double {
    let tails = try tails(leading: leading)
    return tails[min(rank, tails.count - 1)]
  }
}
