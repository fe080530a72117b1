import Basics
import Decompositions
import ModelGraph
import TensorCore
import Testing

@testable import Rounding

@Suite struct RoundedLayerTests {
  private let convolution = Convolution(kernelShape: [12, 8, 3, 3], window: .unit(2))

  private func kernel(_ seed: UInt64) -> Tensor<Double> {
    var generator = SplitMix64(seed: seed)
    return Tensor(gaussian: [12, 8, 3, 3], using: &generator)
  }

  /// The second moment of patches whose elements depend on each other.
  private func norm(_ seed: UInt64) throws -> FitNorm {
    var generator = SplitMix64(seed: seed)
    let rows = Tensor<Double>(gaussian: [300, 72], using: &generator)
    let common = Tensor<Double>(gaussian: [300, 1], using: &generator)
    let mixed = Tensor(
      shape: rows.shape, elements: rows.elements.enumerated().map { $1 + 2 * common.elements[$0 / 72] })
    let gradients = Tensor<Double>(gaussian: [40, 12], using: &generator)
    return FitNorm(secondMoment: mixed.gram(ofColumns: true), output: try ModeNorm(gradients.gram(ofColumns: true)))
  }

  /// The kernel that plain rounding gives, each channel with its best step.
  private func plain(_ kernel: Tensor<Double>, _ width: BitWidth) throws -> Tensor<Double> {
    try RoundedLayer(dense: [FitObjective(kernel)], of: convolution, storage: .integers(width)).kernel
  }

  @Test(arguments: BitWidth.allCases) func roundingInANormNeverLosesToPlainRounding(_ width: BitWidth) throws {
    for seed in 0..<3 {
      let kernel = kernel(UInt64(seed))
      let norm = FitNorm(secondMoment: try norm(UInt64(seed + 50)).secondMoment!)
      let objective = try FitObjective(kernel, norm: norm)
      let rounded = try RoundedLayer(dense: [objective], of: convolution, storage: .integers(width))
      #expect(objective.discrepancy(of: rounded.kernel) <= objective.discrepancy(of: try plain(kernel, width)) * 1.0001)
      #expect(rounded.kernel == rounded.weights[0].values)
      #expect(abs(rounded.outputDiscrepancy - objective.discrepancy(of: rounded.kernel)) < 1e-12)
    }
  }

  @Test(arguments: Structures.names) func factorsInEightBitsLoseLittle(_ name: String) throws {
    let kernel = kernel(7)
    for norm in [nil, try norm(8)] {
      let objective = try FitObjective(kernel, norm: norm)
      let search = try PatternSearch(kernel, norm: norm, convolution: convolution)
      let candidate = try #require(try search.best(of: Structures.named(name), parameters: 500, effort: .sweep))
      let layer = try candidate.fit(kernel, norm: norm, effort: .sweep)
      let float = objective.discrepancy(of: layer.reconstruct())
      var last = float
      for width in [BitWidth.eight, .six, .four] {
        let rounded = try RoundedLayer(layer, of: candidate, towards: [objective], storage: .integers(width))
        #expect(rounded.weights.map(\.shape) == candidate.stages.convolutions.map(\.kernelShape))
        // What the file holds is what was measured.
        let stored = try candidate.reconstruct(from: rounded.weights.map(\.values))
        #expect(stored.relativeDiscrepancy(from: rounded.kernel) < 1e-9)
        #expect(abs(objective.discrepancy(of: stored) - rounded.outputDiscrepancy) < 1e-9)
        // 8 bits: a step of the largest number over 127, so about 0.4 % of every factor.
        if width == .eight { #expect(rounded.outputDiscrepancy < float + 0.02) }
        #expect(rounded.outputDiscrepancy > last * 0.98)
        // Plain rounding of the same factors is no better.
        let alone = try candidate.reconstruct(
          from: layer.weights.map { weight in
            try RoundedLayer(
              dense: [FitObjective(weight)], of: Convolution(kernelShape: weight.shape, window: .unit(weight.shape.count - 2)),
              storage: .integers(width)
            ).kernel
          })
        #expect(rounded.outputDiscrepancy <= objective.discrepancy(of: alone) * 1.0001)
        last = rounded.outputDiscrepancy
      }
    }
  }

  @Test func hostileKernelsAreRounded() throws {
    let zeros = Tensor<Double>(zeros: [12, 8, 3, 3])
    #expect(try RoundedLayer(dense: [FitObjective(zeros)], of: convolution, storage: .integers(.four)).kernel == zeros)
    var outlier = kernel(1)
    outlier.elements[5] = 1e6
    let rounded = try RoundedLayer(dense: [FitObjective(outlier)], of: convolution, storage: .integers(.eight))
    #expect(rounded.kernel.isFinite)
    #expect(rounded.discrepancy(from: outlier) < 0.01)
    for scale in [1e-42, 1e-30, 1e30] {
      let tiny = kernel(2).map { $0 * scale }
      let rounded = try RoundedLayer(dense: [FitObjective(tiny)], of: convolution, storage: .integers(.eight))
      #expect(rounded.kernel.isFinite)
      if scale > 1e-36 { #expect(rounded.discrepancy(from: tiny) < 0.02) }
    }
    let same = zeros.map { _ in 0.25 }
    #expect(try RoundedLayer(dense: [FitObjective(same)], of: convolution, storage: .integers(.two)).kernel == same)
  }
}
