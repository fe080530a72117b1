import Basics
import ModelGraph
import TensorCore

/// A way to factor a kernel. A new structure is one new type; sweep, fit, reconstruction, counting and stages follow.
public protocol Structure: Sendable {
  /// The name in options, plans and reports.
  var name: String { get }
  /// For each factor, the ranks that are its axes. See `FactorPattern`.
  var rankAxes: [[Int]] { get }
  /// Every choice of digits that the structure offers for a kernel (out, in, spatial...); empty where it does not apply.
  func shapes(for kernelShape: [Int]) -> [[[Int]]]
  /// Patterns with fewer parameters than the dense kernel, each with the relative discrepancy that `fit` will reach.
  ///
  /// - Parameters:
  ///   - shapes: those of `shapes(for:)` that the layer can run.
  func scores(of kernel: Tensor<Double>, shapes: [[[Int]]]) throws -> [Score]
  /// The factors for one pattern of this structure; deterministic.
  func fit(_ kernel: Tensor<Double>, to pattern: FactorPattern) throws -> Fit
  /// How a layer computes with the factors.
  func lowering(of pattern: FactorPattern) -> Lowering
}

/// What a pattern of a structure reaches for a kernel.
public struct Score: Sendable {
  public let pattern: FactorPattern
  /// ||W - What|| / ||W||.
  public let discrepancy: Double
}

/// The outcome of a fit.
public struct Fit: Sendable {
  public let factorization: Factorization
  public let converged: Bool
  /// What a report should say about the fit; empty where there is nothing to say.
  public let note: String
}

extension Structure {
  /// The pattern that a plan names.
  ///
  /// - Throws: `Failure` where this structure has no such shapes or ranks for the kernel.
  public func pattern(
    shapes: [[Int]], ranks: [Int], kernelShape: [Int]
  ) throws -> FactorPattern {
    guard self.shapes(for: kernelShape).contains(shapes) else {
      throw Failure(
        "structure '\(name)'", "does not fit a kernel \(kernelShape)", "its shapes are \(shapes)",
        remedy: "expected shapes that the sweep offers")
    }
    let count = (rankAxes.flatMap { $0 }.max() ?? -1) + 1
    let limit = kernelShape.reduce(1, *)
    guard ranks.count == count, ranks.allSatisfy({ (1...max(1, limit)).contains($0) }) else {
      throw Failure(
        "structure '\(name)'", "does not fit a kernel \(kernelShape)", "its ranks are \(ranks)",
        remedy: "expected \(count) ranks from 1 to \(limit)")
    }
    return FactorPattern(shapes: shapes, ranks: ranks, rankAxes: rankAxes)
  }
}

/// The structures that the program knows.
public enum Structures {
  public static let all: [any Structure] = [LowRank(), Tucker2(), CP(), GKPD()]

  /// - Throws: `Failure` for an unknown name.
  public static func named(_ name: String) throws -> any Structure {
    guard let structure = all.first(where: { $0.name == name }) else {
      throw Failure(
        "structure '\(name)'", "is unknown", "",
        remedy: "expected one of \(all.map(\.name).joined(separator: ", "))")
    }
    return structure
  }
}
