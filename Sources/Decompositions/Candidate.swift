import Basics
import ModelGraph
import TensorCore

/// One way to replace a layer: a structure with its shapes and ranks, what it stores, what it loses, how it runs.
public struct Candidate: Sendable, Equatable {
  /// The structure's name.
  public let structure: String
  public let pattern: FactorPattern
  /// The relative discrepancy ||W - What|| / ||W|| that the fit will reach.
  public let discrepancy: Double
  /// What runs in place of the layer, its bias included.
  public let stages: [Stage]

  /// For each factor, its digit's extent in every kernel mode (out, in, spatial...).
  public var shapes: [[Int]] { pattern.shapes }
  public var ranks: [Int] { pattern.ranks }
  /// The elements of all factors, without the bias.
  public var parameterCount: Int { pattern.parameterCount }

  /// The candidate that a plan names.
  ///
  /// - Throws: `Failure` for an unknown structure, and where the structure does not fit the layer's kernel or window.
  public init(
    structure: String, shapes: [[Int]], ranks: [Int], discrepancy: Double,
    convolution: Convolution, hasBias: Bool
  ) throws {
    let implementation = try Structures.named(structure)
    let pattern = try implementation.pattern(
      shapes: shapes, ranks: ranks, kernelShape: convolution.kernelShape)
    guard convolution.groups == 1, convolution.batch == 1,
      let stages = implementation.lowering(of: pattern).stages(
        window: convolution.window, biasChannels: hasBias ? convolution.kernelShape[0] : nil)
    else {
      throw Failure(
        "structure '\(structure)'", "cannot run in place of the layer",
        "its groups, stride or padding cannot be divided among the shapes \(shapes)",
        remedy: "expected shapes that the sweep offers")
    }
    self.init(structure: structure, pattern: pattern, discrepancy: discrepancy, stages: stages)
  }

  init(structure: String, pattern: FactorPattern, discrepancy: Double, stages: [Stage]) {
    self.structure = structure
    self.pattern = pattern
    self.discrepancy = discrepancy
    self.stages = stages
  }

  /// Computes the factors: the same kernel gives the same weights, and the discrepancy that the sweep promised.
  ///
  /// - Parameter kernel: (out, in, spatial...).
  /// - Throws: `Failure` when the kernel has another shape than the candidate or holds NaN or infinity.
  public func fit(_ kernel: Tensor<Double>) throws -> FittedLayer {
    try checkKernel(kernel, shape: pattern.kernelShape)
    let implementation = try Structures.named(structure)
    let fit = try implementation.fit(kernel, to: pattern)
    return FittedLayer(
      weights: implementation.lowering(of: pattern).weights(of: fit.factorization),
      discrepancy: fit.factorization.reconstruct().relativeDiscrepancy(from: kernel),
      converged: fit.converged, note: fit.note)
  }

  /// The kernel (out, in, spatial...) that stored weights stand for.
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
    return try Structures.named(structure).lowering(of: pattern)
      .factorization(of: pattern, weights: weights).reconstruct()
  }
}

/// A layer's factors, ready to store.
public struct FittedLayer: Sendable {
  /// The weights of the candidate's convolutions, in their stages' order and shapes.
  public let weights: [Tensor<Double>]
  /// ||W - What|| / ||W||, computed from the reconstruction.
  public let discrepancy: Double
  public let converged: Bool
  /// What a report should say about the fit.
  public let note: String
}

/// Refuses what no structure can fit.
func checkKernel(_ kernel: Tensor<Double>, shape: [Int]) throws {
  guard kernel.shape == shape else {
    throw Failure(
      "kernel", "has another shape than its layer", "it is \(kernel.shape)", remedy: "expected \(shape)")
  }
  guard kernel.isFinite else { throw Failure.kernelNotFinite }
}
