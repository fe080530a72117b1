import Basics
import Decompositions
import LinearAlgebra
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
  var groups = 1

  var convolution: Convolution {
    let ones = kernel.dropFirst(2).map { _ in 1 }
    return Convolution(
      kernelShape: kernel, groups: groups,
      window: Window(stride: stride ?? ones, dilation: dilation ?? ones, padding: padding))
  }
  var testDescription: String { "\(kernel) g\(groups) s\(stride ?? []) d\(dilation ?? []) \(padding)" }
}

struct StageTests {
  static let layers =
    [
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
      LayerCase(kernel: [8, 4, 3, 3], padding: .same, input: [6, 5], groups: 2),
      LayerCase(
        kernel: [12, 2, 3, 3], stride: [2, 1], padding: .explicit(before: [1, 0], after: [1, 2]), input: [6, 5],
        groups: 3),
      LayerCase(kernel: [6, 4], input: [], groups: 2),
      LayerCase(kernel: [8, 6, 3], dilation: [2], padding: .causal, input: [7], groups: 4),
    ] + random

  /// Seeded layers with every setting drawn at random.
  private static let random: [LayerCase] = {
    var generator = SplitMix64(seed: 5)
    func draw(_ values: ClosedRange<Int>) -> Int { Int.random(in: values, using: &generator) }
    return (0..<30).map { index in
      let order = index % 3 + 1
      let groups = draw(1...2)
      let stride = (0..<order).map { _ in draw(1...2) }
      let kernel = [groups * draw(2...4), draw(2...6)] + (0..<order).map { _ in draw(1...4) }
      let before = (0..<order).map { _ in draw(0...2) }
      return LayerCase(
        kernel: kernel, stride: stride, dilation: stride.map { $0 == 1 ? draw(1...2) : 1 },
        padding: [.valid, .same, .explicit(before: before, after: before.reversed())][draw(0...2)],
        input: (0..<order).map { kernel[$0 + 2] * 2 + draw(0...3) }, groups: groups)
    }
  }()

  @Test("stages compute what the reconstructed kernel computes", arguments: layers)
  func stagesMatchKernel(_ layer: LayerCase) throws {
    var generator = SplitMix64(seed: 11)
    let convolution = layer.convolution
    let input = Tensor<Double>(gaussian: [convolution.inputChannels] + layer.input, using: &generator)
    let bias = (0..<layer.kernel[0]).map { Double($0) - 1.5 }
    let perGroup = [layer.kernel[0] / layer.groups] + layer.kernel.dropFirst()
    let spectra = KernelSpectra(Tensor<Double>(gaussian: perGroup, using: &generator))
    var names: Set<String> = []
    for structure in Structures.all {
      for parameters in [spectra.kernel.count, spectra.kernel.count / 2] {
        for pattern in try structure.proposals(spectra, parameters: parameters).prefix(12) {
          guard
            let candidate = try? Candidate(
              structure: structure.name, shapes: pattern.shapes, ranks: pattern.ranks, discrepancy: 0,
              convolution: convolution, hasBias: true)
          else { continue }
          let factorizations = (0..<layer.groups).map { gaussianFactors(pattern, seed: 7 + 100 * UInt64($0)) }
          let weights = Lowering(pattern, groups: layer.groups).weights(of: factorizations)
          let dense = try candidate.reconstruct(from: weights)
          let blocks = Tensor(
            shape: layer.kernel, elements: Array(factorizations.map { $0.reconstruct().elements }.joined()))
          #expect(dense.relativeDiscrepancy(from: blocks) < 1e-12)
          let expected = StageRunner.run(
            [.convolution(convolution), .bias(channels: layer.kernel[0])], weights: [dense], bias: bias, on: input)
          let result = StageRunner.run(candidate.stages, weights: weights, bias: bias, on: input)
          #expect(result.shape == expected.shape)
          #expect(result.relativeDiscrepancy(from: expected) < 1e-11, "\(structure.name) \(pattern)")
          #expect(candidate.stages.parameterCount == candidate.parameterCount + layer.kernel[0])
          #expect(weights.map(\.shape) == candidate.stages.convolutions.map(\.kernelShape))
          let composed = ComposedKernel.compose(candidate.stages, weights: weights, layer: convolution)
          #expect((composed?.relativeDiscrepancy(from: dense) ?? .infinity) < 1e-11)
          try expectSlices(of: candidate.stages, weights, convolution, dense)
          names.insert(structure.name)
        }
      }
    }
    #expect(names.contains("svd") || layer.kernel.contains(1))
  }

  /// Parts of the composed kernel, one input channel at a time, are those of the kernel.
  private func expectSlices(
    of stages: [Stage], _ weights: [Tensor<Double>], _ layer: Convolution, _ dense: Tensor<Double>
  ) throws {
    let kernel = try #require(ComposedKernel(stages, weights: weights, layer: layer))
    #expect(kernel.slices.flatMap(Array.init) == Array(0..<layer.inputChannels))
    let zero = Tensor<Double>(zeros: layer.kernelShape)
    var (squares, distance) = (0.0, 0.0)
    for channel in 0..<layer.inputChannels {
      let slice = try #require(kernel.slice(channel..<channel + 1))
      squares += kernel.squaredDistance(slice, of: channel..<channel + 1, from: zero).distance
      distance += kernel.squaredDistance(slice, of: channel..<channel + 1, from: dense).distance
    }
    #expect(abs(squares.squareRoot() - dense.norm) <= 1e-11 * dense.norm)
    #expect(distance.squareRoot() <= 1e-11 * dense.norm)
  }

  /// What lies between the taps of a wide dilation takes no memory: with it, this kernel would take 100 GB.
  @Test("a wide dilation is taken out", arguments: [Padding.same, .explicit(before: [0, 5000], after: [9000, 1])])
  func composesWideDilations(_ padding: Padding) throws {
    let wide = LayerCase(kernel: [4, 6, 4, 4], dilation: [30_000, 6000], padding: padding, input: []).convolution
    let curve = try Sweep().candidates(for: gaussian(wide.kernelShape), convolution: wide, hasBias: false)
    #expect(Set(curve.map(\.structure)).count >= 4)
    for candidate in curve.suffix(6) {
      let weights = try candidate.fit(gaussian(wide.kernelShape)).weights
      let dense = try candidate.reconstruct(from: weights)
      let composed = ComposedKernel.compose(candidate.stages, weights: weights, layer: wide)
      #expect((composed?.relativeDiscrepancy(from: dense) ?? .infinity) < 1e-11)
      // The stages without it compute what the layer without it computes.
      let (layer, stages) = SharedDilation(of: wide, candidate.stages).removed(from: wide, candidate.stages)
      #expect(layer.window.dilation == [1, 1])
      let input = gaussian([6, 9, 8])
      let expected = StageRunner.run([.convolution(layer)], weights: [dense], bias: nil, on: input)
      let result = StageRunner.run(stages, weights: weights, bias: nil, on: input)
      #expect(result.shape == expected.shape && result.relativeDiscrepancy(from: expected) < 1e-11)
    }
  }

  @Test("a grouped layer is fitted a group at a time")
  func fitsGroups() throws {
    let convolution = LayerCase(kernel: [8, 4, 3, 3], padding: .same, input: [5, 5], groups: 2).convolution
    let kernel = gaussian([8, 4, 3, 3], seed: 3)
    let curve = try Sweep().candidates(for: kernel, convolution: convolution, hasBias: false)
    #expect(Set(curve.map(\.structure)).count >= 4)
    for candidate in curve.suffix(3) {
      let fitted = try candidate.fit(kernel)
      #expect(fitted.discrepancy <= candidate.discrepancy * (1 + 1e-9) + 1e-9)
      let whole = try candidate.reconstruct(from: fitted.weights)
      #expect(abs(whole.relativeDiscrepancy(from: kernel) - fitted.discrepancy) < 1e-9)
    }
  }

  @Test("SeKron counts as the papers' formulas do, in the papers' order")
  func countsSeKron() throws {
    let shapes = [[2, 3, 1, 2], [3, 2, 3, 1], [2, 2, 1, 2], [1, 2, 2, 1]]
    for (factors, ranks) in [(2, [4]), (3, [4, 3]), (4, [3, 2, 2])] {
      let own = Array(shapes[..<factors])
      let pattern = FactorPattern(
        shapes: own, ranks: ranks, rankAxes: (0..<factors).map { Array(0...min($0, factors - 2)) })
      let lowering = Lowering(pattern, order: Array((0..<factors).reversed()))
      let kernel = pattern.kernelShape
      let stages = try #require(
        lowering.stages(window: Window(stride: [1, 1], dilation: [1, 1], padding: .same), biasChannels: nil))
      // rho(k) = prod of the ranks up to k, the last one once (papers, section 1, "Cost"; k counts from 1).
      func rho(_ k: Int) -> Int { ranks.prefix(min(k, factors - 1)).reduce(1, *) }
      var (parameters, macs, peak) = (0, 0, 0)
      for k in 1...factors {
        let shape = own[k - 1]
        let tail = own[(k - 1)...].reduce(1) { $0 * $1[0] }
        let head = own[..<k].reduce(1) { $0 * $1[1] }
        parameters += rho(k) * shape.reduce(1, *)
        macs += rho(k) * tail * head * shape[2] * shape[3]
        peak = max(peak, rho(k - 1) * tail * (head / shape[1]))
      }
      // Before the first sum all ranks are there.
      peak = max(peak, rho(factors - 1) * own[factors - 1][0] * own.dropLast().reduce(1) { $0 * $1[1] })
      #expect(stages.parameterCount == parameters)
      #expect(stages.convolutions.reduce(0) { $0 + $1.macsPerPosition } == macs)
      let widest = stages.convolutions.map { max($0.inputChannels, $0.outputChannels) }.max()
      #expect(widest == max(peak, kernel[1]))
      let flat = stages.map { stage in
        if case .convolution(var own) = stage {
          own.window = .unit(2)
          own.kernelShape = Array(own.kernelShape[..<2]) + [1, 1]
          return Stage.convolution(own)
        }
        return stage
      }
      #expect(flat.peakStateCount(inputExtents: [7, 5]) == max(peak, kernel[1]) * 35)
      // The order that is chosen is never dearer.
      #expect(Lowering(pattern).macsPerPosition <= macs)
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
    let pattern = FactorPattern(shapes: [a, b], ranks: [rank], rankAxes: [[0], [0]])
    let lowering = Lowering(pattern, order: [1, 0])
    let stages = try #require(lowering.stages(window: convolution.window, biasChannels: nil))
    #expect(stages.parameterCount == rank * (3 * 4 * 2 * 1 + 4 * 2 * 3 * 4))
    let macs = stages.convolutions.reduce(0) { $0 + $1.macsPerPosition }
    #expect(macs == rank * (4 * 2 * 3 * 4 * 4 + 3 * 4 * 2 * 1 * 4))
    #expect(Lowering(pattern).macsPerPosition <= macs)
  }

  @Test("the stride sits behind the last stage with an extent, the padding before the first")
  func dividesWindow() throws {
    let window = Window(
      stride: [2, 2], dilation: [3, 1], padding: .explicit(before: [1, 2], after: [3, 4]))
    let lowering = Lowering(
      FactorPattern(shapes: [[2, 2, 2, 1], [2, 2, 2, 3]], ranks: [1], rankAxes: [[0], [0]]), order: [1, 0])
    let stages = try #require(lowering.stages(window: window, biasChannels: nil))
    #expect(
      stages.convolutions.map(\.window) == [
        Window(
          stride: [1, 2], dilation: [3, 1], padding: .explicit(before: [1, 2], after: [3, 4])),
        Window(stride: [2, 1], dilation: [6, 1], padding: .valid),
      ])
  }
}
