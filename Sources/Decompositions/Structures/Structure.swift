import Basics
import TensorCore

/// A way to factor a kernel. A new structure is one new type; fit, reconstruction, search, stages and counting follow.
public protocol Structure: Sendable {
  /// The name in options, plans and reports.
  var name: String { get }

  /// Whether `start` is the best approximation in the norm of the weights, so that nothing is left to fit.
  var startIsOptimal: Bool { get }

  /// Whether only fits can tell which of its patterns and starts is best; else spectra do.
  var needsTrials: Bool { get }

  /// Which ranks are axes of which factor (see `FactorForm`), or nil where the structure has no factors of such shapes.
  ///
  /// - Parameter shapes: for each factor, its digit's extent in every kernel mode; two factors or more, of equal order.
  func rankAxes(shapes: [[Int]]) -> [[Int]]?

  /// The patterns that are worth trying with at most this many parameters, the most promising first; none where the structure
  /// does not apply. Each uses the parameters as far as its ranks allow. Where the structure needs trials, the order says little.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  func proposals(_ spectra: KernelSpectra, parameters: Int) throws -> [FactorPattern]

  /// What a fit of a pattern cannot get below, or what experience says that it does not, as a squared relative discrepancy in the
  /// norm of the weights; 0 where spectra tell nothing.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  func outlook(_ spectra: KernelSpectra, _ pattern: FactorPattern) throws -> Double

  /// Patterns that a thorough search fits in earnest whatever their trials say.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  func seeds(_ spectra: KernelSpectra, parameters: Int) throws -> [FactorPattern]

  /// Patterns near one that did well, again of at most this many parameters.
  func neighbours(of pattern: FactorPattern, parameters: Int) -> [FactorPattern]

  /// The factors that the structure's own decomposition gives; nil where a random start serves better.
  ///
  /// - Throws: `Failure` where LAPACK does not converge.
  func start(_ kernel: Tensor<Double>, _ pattern: FactorPattern) throws -> Factorization?
}

extension Structure {
  /// A structure needs a fit unless it says otherwise.
  public var startIsOptimal: Bool { false }
  /// Spectra tell which pattern is best unless the structure says otherwise.
  public var needsTrials: Bool { false }
  /// Spectra tell nothing unless the structure says otherwise.
  public func outlook(_ spectra: KernelSpectra, _ pattern: FactorPattern) throws -> Double { 0 }
  /// No pattern is fitted against its trial unless the structure says otherwise.
  public func seeds(_ spectra: KernelSpectra, parameters: Int) throws -> [FactorPattern] { [] }
  /// No pattern has neighbours unless the structure says otherwise.
  public func neighbours(of pattern: FactorPattern, parameters: Int) -> [FactorPattern] { [] }

  /// The pattern that a plan names, its ranks lowered to full rank where they are beyond.
  ///
  /// - Throws: `Failure` where this structure has no such shapes or ranks for the kernel.
  public func pattern(shapes: [[Int]], ranks: [Int], kernelShape: [Int]) throws -> FactorPattern {
    let fits =
      shapes.count >= 2 && shapes.allSatisfy { $0.count == kernelShape.count && $0.allSatisfy { $0 > 0 } }
      && kernelShape.indices.allSatisfy { mode in
        shapes.map { $0[mode] }.productIfExact == kernelShape[mode]
      }
    guard fits, let axes = rankAxes(shapes: shapes) else {
      throw Failure(
        "structure '\(name)'", "does not fit a kernel \(kernelShape)", "its shapes are \(shapes)",
        remedy: "expected shapes that the structure has and whose products are the kernel's")
    }
    let form = FactorForm(shapes: shapes, rankAxes: axes)
    guard ranks.count == form.rankCount, ranks.allSatisfy({ (1...Int(Int32.max)).contains($0) }) else {
      throw Failure(
        "structure '\(name)'", "does not fit a kernel \(kernelShape)", "its ranks are \(ranks)",
        remedy: "expected \(form.rankCount) positive ranks")
    }
    return FactorPattern(form, ranks: ranks).clamped
  }
}

/// The structures that the program knows.
public enum Structures {
  /// All of them, in the order in which equals are preferred.
  public static let all: [any Structure] = [
    LowRank(), CP(), Tucker(), TensorTrain(), GKPD(), TensorRing(), SeKron(),
  ]

  /// The names of all structures, in the same order.
  public static var names: [String] { all.map(\.name) }

  /// The structure that options and plans call so.
  ///
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

/// Shapes of factors that own whole modes.
enum ModeGroups {
  /// For each group of modes, the shape of the factor that has them.
  static func shapes(_ groups: [[Int]], of kernelShape: [Int]) -> [[Int]] {
    groups.map { group in kernelShape.indices.map { group.contains($0) ? kernelShape[$0] : 1 } }
  }

  /// The modes with an extent above 1, the spatial ones as one group.
  static func merged(_ kernelShape: [Int]) -> [[Int]] {
    let spatial = (2..<max(2, kernelShape.count)).filter { kernelShape[$0] > 1 }
    return [[0], [1], spatial].filter { group in group.contains { kernelShape[$0] > 1 } }
  }

  /// The modes with an extent above 1, each by itself.
  static func separate(_ kernelShape: [Int]) -> [[Int]] {
    kernelShape.indices.filter { kernelShape[$0] > 1 }.map { [$0] }
  }

  /// Both, once where they are the same.
  static func all(_ kernelShape: [Int]) -> [[[Int]]] {
    let (merged, separate) = (merged(kernelShape), separate(kernelShape))
    return merged == separate ? [merged] : [merged, separate]
  }

  /// Whether every mode belongs to one factor entirely.
  static func areWhole(_ shapes: [[Int]]) -> Bool {
    shapes[0].indices.allSatisfy { mode in shapes.count { $0[mode] > 1 } <= 1 }
  }
}
