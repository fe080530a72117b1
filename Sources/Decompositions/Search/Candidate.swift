import Basics
import ModelGraph
import TensorCore

/// One way to replace a layer: a structure with its shapes and ranks, what it stores, what it loses, how it runs.
public struct Candidate: Sendable, Equatable {
  /// The name of the structure.
  public let structure: String
  /// The shapes and ranks of the factors of each of the layer's groups.
  public let pattern: FactorPattern
  /// The relative discrepancy ||W - What|| / ||W|| that the fit reaches or passes.
  public let discrepancy: Double
  /// The same in the norm that the fit was made in: of the layer's output on its inputs, where these were given.
  public let outputDiscrepancy: Double
  /// The factors of a fit in the norm of the layer's inputs, one for each group; nil where the fit is made again when it is wanted.
  package let factorizations: [Factorization]?
  /// What a reader of the plan should know of the fit; empty where there is nothing to say.
  public let note: String
  /// What runs in place of the layer, its bias included.
  public let stages: [Stage]
  package let lowering: Lowering

  /// The digits: for each factor its extent in every kernel mode (out, in, spatial...).
  public var shapes: [[Int]] { pattern.shapes }
  /// The extents of the ranks.
  public var ranks: [Int] { pattern.ranks }
  /// The elements of all factors, without the bias.
  public var parameterCount: Int { pattern.parameterCount * lowering.groups }
  /// The multiply-accumulates for one output position, without stride.
  public var macsPerPosition: Int { stages.convolutions.reduce(0) { $0 + $1.macsPerPosition } }

  /// The candidate that a plan names. Ranks beyond full rank are lowered to it, with a note.
  ///
  /// - Throws: `Failure` for an unknown structure, and where the structure does not fit the layer's kernel or window.
  public init(
    structure: String, shapes: [[Int]], ranks: [Int], discrepancy: Double, outputDiscrepancy: Double? = nil,
    note: String? = nil, convolution: Convolution, hasBias: Bool
  ) throws {
    let pattern = try Structures.named(structure).pattern(
      shapes: shapes, ranks: ranks, kernelShape: convolution.kernelShapePerGroup)
    let lowered =
      pattern.ranks == ranks ? nil : "the ranks \(ranks) are beyond full rank and were lowered to \(pattern.ranks)"
    guard
      let candidate = Candidate(
        structure: structure, pattern, discrepancy: discrepancy, outputDiscrepancy: outputDiscrepancy,
        note: lowered ?? note ?? "", convolution: convolution, hasBias: hasBias)
    else {
      throw Failure(
        "structure '\(structure)'", "cannot run in place of the layer",
        "its stride or padding cannot be divided among the shapes \(shapes)",
        remedy: "expected shapes that the sweep offers")
    }
    self = candidate
  }

  /// Makes a candidate of a pattern; nil where the layer's window cannot be divided among the factors.
  init?(
    structure: String, _ pattern: FactorPattern, discrepancy: Double, outputDiscrepancy: Double? = nil,
    factorizations: [Factorization]? = nil, note: String, convolution: Convolution, hasBias: Bool
  ) {
    guard convolution.batch == 1 else { return nil }
    lowering = Lowering(pattern, groups: convolution.groups)
    guard
      let stages = lowering.stages(
        window: convolution.window, transposition: convolution.transposition,
        biasChannels: hasBias ? convolution.kernelShape[0] : nil)
    else { return nil }
    self.structure = structure
    self.pattern = pattern
    self.discrepancy = discrepancy
    self.outputDiscrepancy = outputDiscrepancy ?? discrepancy
    self.factorizations = factorizations
    self.note = note
    self.stages = stages
  }

  /// Computes the factors: the same kernel gives the same weights, at the discrepancy that the sweep promised or below.
  ///
  /// - Parameters:
  ///   - kernel: (out, in / groups, spatial...).
  ///   - seed: of the random starts, as in the sweep.
  /// - Throws: `Failure` when the kernel has another shape than the candidate or holds NaN or infinity.
  public func fit(
    _ kernel: Tensor<Double>, norm: FitNorm? = nil, seed: UInt64 = 0, effort: FitEffort = .final
  ) throws -> FittedLayer {
    let implementation = try Structures.named(structure)
    let blocks = try kernel.groupBlocks(lowering.groups, shape: pattern.kernelShape)
    let fits = try blocks.map { block in
      try Fitting(FitObjective(block, norm: norm), seed: seed)
        .fit(pattern, of: implementation, effort: effort)
    }
    return fitted(fits, discrepancy: kernel.pooled(zip(blocks, fits).map { $0.1.kernelDiscrepancy * $0.0.norm }))
  }

  /// The kernel that stands for `kernel` as far as the sweep fitted it: (out, in / groups, spatial...).
  ///
  /// - Throws: as `fit`.
  public func approximation(
    of kernel: Tensor<Double>, norm: FitNorm? = nil, seed: UInt64 = 0
  ) throws -> Tensor<Double> {
    try factorizations.map { Tensor(groupBlocks: $0.map { $0.reconstruct() }) }
      ?? fit(kernel, norm: norm, seed: seed, effort: .sweep).reconstruct()
  }

  /// Goes on from fitted factors towards another objective: that of the inputs that the layer gets in the compressed network.
  ///
  /// - Parameter kernel: the layer's own, with which the result is compared.
  /// - Precondition: the layer has no groups.
  /// - Throws: `Failure` where LAPACK does not converge.
  public func refit(
    _ layer: FittedLayer, towards objective: FitObjective, kernel: Tensor<Double>, sweeps: Int
  ) throws -> FittedLayer {
    precondition(layer.factorizations.count == 1, "a layer with groups has several objectives")
    let fit = try Fitting(objective).improved(layer.factorizations[0], sweeps: sweeps)
    return fitted([fit], discrepancy: fit.factorization.reconstruct().relativeDiscrepancy(from: kernel))
  }

  func fitted(_ fits: [Fit], discrepancy: Double) -> FittedLayer {
    FittedLayer(
      weights: lowering.weights(of: fits.map(\.factorization)), discrepancy: discrepancy,
      converged: fits.allSatisfy(\.converged), sweeps: fits.map(\.sweeps).max().required("a layer has a group"),
      factorizations: fits.map(\.factorization))
  }

  /// The kernel (out, in / groups, spatial...) that stored weights stand for.
  ///
  /// - Parameter weights: of the stages' convolutions, in their order.
  /// - Throws: `Failure` when the weights do not have the stages' shapes.
  public func reconstruct(from weights: [Tensor<Double>]) throws -> Tensor<Double> {
    let expected = stages.convolutions.map(\.kernelShape)
    guard weights.map(\.shape) == expected else {
      throw Failure(
        "structure '\(structure)'", "cannot be reconstructed",
        "the weights have the shapes \(weights.map(\.shape))", remedy: "expected \(expected)")
    }
    return Tensor(groupBlocks: lowering.factorizations(of: weights).map { $0.reconstruct() })
  }
}

/// A layer's factors, ready to store.
public struct FittedLayer: Sendable {
  /// The weights of the candidate's convolutions, in their stages' order and shapes.
  public let weights: [Tensor<Double>]
  /// ||W - What|| / ||W||, computed from the reconstruction.
  public let discrepancy: Double
  /// Whether more sweeps would hardly lower the discrepancy.
  public let converged: Bool
  /// Passes over all factors.
  public let sweeps: Int
  /// One for each of the layer's groups.
  package let factorizations: [Factorization]

  /// The kernel (out, in / groups, spatial...) that the factors stand for.
  public func reconstruct() -> Tensor<Double> {
    Tensor(groupBlocks: factorizations.map { $0.reconstruct() })
  }
}
