import Basics
import Decompositions
import Foundation
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
  private func plain(_ kernel: Tensor<Double>, _ storage: WeightStorage) throws -> Tensor<Double> {
    try RoundedLayer(dense: [FitObjective(kernel)], of: convolution, storage: storage).kernel
  }

  private static let storages = BitWidth.allCases.flatMap { [WeightStorage.integers($0), .levels($0)] }

  @Test(arguments: storages) func roundingInANormNeverLosesToPlainRounding(_ storage: WeightStorage) throws {
    for seed in 0..<3 {
      let kernel = kernel(UInt64(seed))
      let norm = FitNorm(secondMoment: try norm(UInt64(seed + 50)).secondMoment!)
      let objective = try FitObjective(kernel, norm: norm)
      let rounded = try RoundedLayer(dense: [objective], of: convolution, storage: storage)
      #expect(
        objective.discrepancy(of: rounded.kernel) <= objective.discrepancy(of: try plain(kernel, storage)) * 1.0001)
      #expect(rounded.kernel == rounded.weights[0].values)
      #expect(abs(rounded.outputDiscrepancy - objective.discrepancy(of: rounded.kernel)) < 1e-12)
    }
  }

  @Test(arguments: Structures.names, [false, true])
  func factorsInEightBitsLoseLittle(_ name: String, hasOneScale: Bool) throws {
    let kernel = kernel(7)
    for norm in [nil, try norm(8)] {
      let objective = try FitObjective(kernel, norm: norm)
      let search = try PatternSearch(kernel, norm: norm, convolution: convolution)
      let candidate = try #require(try search.best(of: Structures.named(name), parameters: 500, effort: .sweep))
      let layer = try candidate.fit(kernel, norm: norm, effort: .sweep)
      let float = objective.discrepancy(of: layer.reconstruct())
      var last = float
      for width in [BitWidth.eight, .six, .four] {
        let storage = hasOneScale ? WeightStorage.levels(width) : .integers(width)
        let rounded = try RoundedLayer(layer, of: candidate, towards: [objective], storage: storage)
        #expect(rounded.weights.allSatisfy { $0.storage == storage })
        #expect(rounded.weights.map(\.shape) == candidate.stages.convolutions.map(\.kernelShape))
        // What the file holds is what was measured.
        let stored = try candidate.reconstruct(from: rounded.weights.map(\.values))
        #expect(stored.relativeDiscrepancy(from: rounded.kernel) < 1e-9)
        #expect(abs(objective.discrepancy(of: stored) - rounded.outputDiscrepancy) < 1e-9)
        // 8 bits: a step of the largest number over 127, so about 0.4 % of every factor; 1.5 % in numbers of five significant bits.
        if width == .eight { #expect(rounded.outputDiscrepancy < float + (hasOneScale ? 0.04 : 0.02)) }
        #expect(rounded.outputDiscrepancy > last * 0.98)
        // Plain rounding of the same factors is no better.
        let alone = try candidate.reconstruct(
          from: layer.weights.map { weight in
            try RoundedLayer(
              dense: [FitObjective(weight)],
              of: Convolution(kernelShape: weight.shape, window: .unit(weight.shape.count - 2)),
              storage: storage
            ).kernel
          })
        #expect(rounded.outputDiscrepancy <= objective.discrepancy(of: alone) * 1.0001)
        last = rounded.outputDiscrepancy
      }
    }
  }

  /// Numbers that a byte holds, few enough for their width, with one scale.
  @Test(arguments: BitWidth.allCases) func levelsAreNumbersOfAByte(_ width: BitWidth) throws {
    for scale in [1e-38, 1e-3, 1, 10] {
      let kernel = kernel(3).map { $0 * scale }
      for norm in [nil, try norm(4)] {
        let rounded = try RoundedLayer(
          dense: [FitObjective(kernel, norm: norm)], of: convolution, storage: .levels(width))
        let weight = rounded.weights[0]
        #expect(Set(weight.scales).count == 1 && Set(weight.integers).count < 1 << width.rawValue)
        let exponent = Int(weight.scales[0].exponent)
        #expect(ByteFloat.unitExponents.contains(exponent))
        #expect(weight.values.elements.allSatisfy { ByteFloat.code(Float($0), unitExponent: exponent) != nil })
        if scale > 1e-36, norm == nil {
          let decibels = [5, 11, 17, 23, 28, 34, 34.5][width.rawValue - 2]
          #expect(rounded.discrepancy(from: kernel) < pow(10, -decibels / 20))
        }
      }
    }
  }

  @Test func hostileKernelsAreRounded() throws {
    for width in BitWidth.allCases {
      let zeros = Tensor<Double>(zeros: [12, 8, 3, 3])
      #expect(try RoundedLayer(dense: [FitObjective(zeros)], of: convolution, storage: .levels(width)).kernel == zeros)
      var outlier = kernel(1)
      outlier.elements[5] = 1e6
      for kernel in [outlier, kernel(2).map { $0 * 1e-42 }, kernel(2).map { $0 * 1e30 }] {
        #expect(
          try RoundedLayer(dense: [FitObjective(kernel)], of: convolution, storage: .levels(width)).kernel.isFinite)
      }
      // The largest numbers of the lists are a twelfth apart.
      let same = zeros.map { _ in 0.25 }
      let rounded = try RoundedLayer(dense: [FitObjective(same)], of: convolution, storage: .levels(width))
      #expect(rounded.discrepancy(from: same) < 0.05)
    }
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
