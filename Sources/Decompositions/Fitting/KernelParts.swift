import LinearAlgebra
import TensorCore

/// A kernel of which parts are made when they are needed: one that would be the largest thing in memory in double precision.
public struct KernelParts {
  /// (out, in, spatial...).
  public let shape: [Int]
  private let part: (_ mode: Int, Range<Int>) throws -> Tensor<Double>

  /// A kernel of parts.
  ///
  /// - Parameter part: gives a range of output channels (mode 0) or of input channels (mode 1), finite.
  public init(shape: [Int], part: @escaping (_ mode: Int, Range<Int>) throws -> Tensor<Double>) {
    self.shape = shape
    self.part = part
  }

  /// The kernel rearranged for two factors; nil where a part of that matrix is no range of output or input channels.
  func matrix(_ form: FactorForm) -> PartedMatrix? {
    guard form.factorCount == 2, form.kernelShape == shape else { return nil }
    let (rows, columns) = (form.modeCount(0), form.modeCount(1))
    let longer = rows <= columns ? 1 : 0
    guard let mode = form.shapes[longer].firstIndex(where: { $0 > 1 }), mode < 2,
      form.shapes[longer][mode] == shape[mode]
    else { return nil }
    let unit = form.modeCount(longer) / shape[mode]
    let make = part
    return PartedMatrix(rows: rows, columns: columns, unit: unit) { range in
      let channels = range.lowerBound / unit..<range.upperBound / unit
      var shapes = form.shapes
      shapes[longer][mode] = channels.count
      return FactorForm(shapes: shapes, rankAxes: form.rankAxes).rearranged(try make(mode, channels))
    }
  }
}

extension Candidate {
  /// Computes the factors of a large kernel without ever having it as a whole, as `fit` does in the norm of the weights.
  ///
  /// - Returns: nil for a kernel that is not large, and where the candidate needs the whole of it.
  /// - Throws: `Failure` where LAPACK does not converge; what making a part throws.
  package func fit(_ kernel: KernelParts) throws -> FittedLayer? {
    guard lowering.groups == 1, KroneckerSum.isLarge(kernel.shape.reduce(1, *)),
      pattern.rankAxes == KroneckerSum.rankAxes, try Structures.named(structure).startIsOptimal,
      let matrix = kernel.matrix(pattern.form)
    else { return nil }
    let factorization = try KroneckerSum.factors(matrix, pattern)
    let discrepancy = try factorization.discrepancy(from: matrix)
    return fitted(
      [
        Fit(
          factorization: factorization, discrepancy: discrepancy, kernelDiscrepancy: discrepancy, converged: true,
          sweeps: 0)
      ], discrepancy: discrepancy)
  }
}
