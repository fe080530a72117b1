import Basics
import Decompositions
import ModelGraph
import TensorCore
import Testing

/// A layer that candidates are run against.
struct LayerCase: CustomTestStringConvertible, Sendable {
  let kernel: [Int]
  var stride: [Int]?
  var dilation: [Int]?
  var padding: Padding = .valid
  let input: [Int]

  var convolution: Convolution {
    let ones = kernel.dropFirst(2).map { _ in 1 }
    return Convolution(
      kernelShape: kernel,
      window: Window(stride: stride ?? ones, dilation: dilation ?? ones, padding: padding))
  }
  var testDescription: String { "\(kernel) s\(stride ?? []) d\(dilation ?? []) \(padding)" }
}

struct StageTests {
  static let layers = [
    LayerCase(kernel: [6, 4], input: []),
    LayerCase(kernel: [6, 4, 3], padding: .same, input: [7]),
    LayerCase(kernel: [4, 6, 4], dilation: [2], padding: .causal, input: [9]),
    LayerCase(kernel: [4, 3, 4], stride: [2], padding: .causal, input: [9]),
    LayerCase(kernel: [4, 4, 3, 3], padding: .same, input: [6, 5]),
    LayerCase(kernel: [4, 6, 3, 3], stride: [2, 2], padding: .same, input: [6, 7]),
    LayerCase(kernel: [4, 6, 3, 3], stride: [2, 2], padding: .sameLower, input: [6, 7]),
    LayerCase(
      kernel: [4, 4, 3, 3], stride: [2, 2], padding: .explicit(before: [1, 1], after: [1, 1]),
      input: [6, 7]),
    LayerCase(kernel: [4, 4, 4, 2], padding: .same, input: [6, 5]),
    LayerCase(kernel: [4, 4, 4, 4], stride: [2, 1], dilation: [1, 2], input: [9, 9]),
    LayerCase(
      kernel: [4, 2, 4, 3], stride: [2, 2], padding: .explicit(before: [2, 0], after: [1, 1]),
      input: [8, 7]),
    LayerCase(kernel: [4, 4, 4, 4], stride: [2, 2], padding: .same, input: [7, 7]),
    LayerCase(kernel: [6, 6, 1, 1], stride: [2, 2], padding: .same, input: [5, 5]),
    LayerCase(kernel: [5, 1, 3, 3], input: [5, 5]),
    LayerCase(kernel: [1, 7, 3, 1], dilation: [2, 1], padding: .same, input: [6, 4]),
    LayerCase(kernel: [4, 4, 2, 3, 2], stride: [1, 2, 1], padding: .same, input: [4, 5, 3]),
  ]

  @Test("stages compute what the reconstructed kernel computes", arguments: layers)
  func stagesMatchKernel(_ layer: LayerCase) throws {
    var generator = SplitMix64(seed: 11)
    let kernel = Tensor<Double>(gaussian: layer.kernel, using: &generator)
    let convolution = layer.convolution
    let input = Tensor<Double>(gaussian: [layer.kernel[1]] + layer.input, using: &generator)
    let bias = (0..<layer.kernel[0]).map { Double($0) - 1.5 }
    let unit = Tensor<Double>(zeros: layer.kernel).count
    var names: Set<String> = []
    for structure in Structures.all {
      for (shapes, ranks) in samples(of: structure, kernelShape: layer.kernel, limit: unit) {
        guard
          let candidate = try? Candidate(
            structure: structure.name, shapes: shapes, ranks: ranks, discrepancy: 0,
            convolution: convolution, hasBias: true)
        else { continue }
        let fitted = try candidate.fit(kernel)
        let approximation = try candidate.reconstruct(from: fitted.weights)
        let expected = StageRunner.run(
          [.convolution(convolution), .bias(channels: layer.kernel[0])], weights: [approximation],
          bias: bias, on: input)
        let result = StageRunner.run(
          candidate.stages, weights: fitted.weights, bias: bias, on: input)
        #expect(result.shape == expected.shape)
        #expect(result.relativeDiscrepancy(from: expected) < 1e-12, "\(structure.name) \(shapes)")
        #expect(candidate.stages.parameterCount == candidate.parameterCount + layer.kernel[0])
        #expect(fitted.weights.reduce(0) { $0 + $1.count } == candidate.parameterCount)
        #expect(abs(approximation.relativeDiscrepancy(from: kernel) - fitted.discrepancy) < 1e-12)
        names.insert(structure.name)
      }
    }
    #expect(names.contains("svd") || layer.kernel.contains(1))
  }

  /// Every shape that the structure offers, at one small rank and one larger.
  private func samples(
    of structure: any Structure, kernelShape: [Int], limit: Int
  ) -> [([[Int]], [Int])] {
    let count = Set(structure.rankAxes.flatMap { $0 }).count
    return structure.shapes(for: kernelShape).flatMap { shapes in
      [(shapes, (0..<count).map { 2 + $0 }), (shapes, (0..<count).map { _ in 1 })]
    }
  }

  @Test("a split axis cannot pad by 'same' where a stride makes the amounts depend on the input")
  func refusesSplitSame() {
    let convolution = LayerCase(
      kernel: [4, 4, 4, 4], stride: [2, 2], padding: .same, input: []
    ).convolution
    #expect(throws: Failure.self) {
      try Candidate(
        structure: "gkpd", shapes: [[2, 2, 2, 2], [2, 2, 2, 2]], ranks: [1], discrepancy: 0,
        convolution: convolution, hasBias: false)
    }
  }

  @Test("GKPD counts as the papers' formulas do")
  func countsGKPD() throws {
    let convolution = LayerCase(kernel: [12, 8, 6, 4], padding: .same, input: []).convolution
    let (a, b, rank) = ([3, 4, 2, 1], [4, 2, 3, 4], 5)
    let candidate = try Candidate(
      structure: "gkpd", shapes: [a, b], ranks: [rank], discrepancy: 0, convolution: convolution,
      hasBias: false)
    #expect(candidate.parameterCount == rank * (3 * 4 * 2 * 1 + 4 * 2 * 3 * 4))
    let macs = candidate.stages.convolutions.reduce(0) { $0 + $1.macsPerPosition }
    #expect(macs == rank * (4 * 2 * 3 * 4 * 4 + 3 * 4 * 2 * 1 * 4))
  }

  @Test("the stride sits behind the last stage with an extent, the padding before the first")
  func dividesWindow() throws {
    let window = Window(
      stride: [2, 2], dilation: [3, 1], padding: .explicit(before: [1, 2], after: [3, 4]))
    let lowering = KroneckerWindow.lowering
    let stages = try #require(lowering.stages(window: window, biasChannels: nil))
    #expect(
      stages.convolutions.map(\.window) == [
        Window(
          stride: [1, 2], dilation: [3, 1], padding: .explicit(before: [1, 2], after: [3, 4])),
        Window(stride: [2, 1], dilation: [6, 1], padding: .valid),
      ])
  }
}

/// (2, 1) behind (2, 3): the first axis is split, the second is not.
enum KroneckerWindow {
  static let lowering = GKPD().lowering(
    of: FactorPattern(
      shapes: [[2, 2, 2, 1], [2, 2, 2, 3]], ranks: [1], rankAxes: [[0], [0]]))
}
