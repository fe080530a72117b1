import Basics
import Decompositions
import LinearAlgebra
import ModelGraph
import TensorCore
import Testing

/// What every fit has to do, whatever the structure.
@Suite struct FitTests {
  @Test(arguments: samplePatterns.indices)
  func recoversAKernelOfItsOwnForm(index: Int) throws {
    let pattern = try samplePattern(index)
    let structure = try Structures.named(samplePatterns[index].structure)
    let kernel = gaussianFactors(pattern, seed: 5).reconstruct()
    let fit = try Fitting(FitObjective(kernel)).fit(pattern, of: structure, effort: .final)
    // A decomposition that is optimal at once is exact to rounding; alternating fits stop when a sweep gains less than 1e-4.
    #expect(fit.discrepancy <= (fit.sweeps == 0 ? 1e-12 : 2e-3), "\(pattern)")
  }

  /// A large kernel is fitted in parts, without the whole, to the factors that the whole gives.
  @Test(arguments: [
    ([40, 110_000], [[40, 1], [1, 110_000]], 1), ([110_000, 40], [[110_000, 1], [1, 40]], 0),
    ([32, 15_000, 3, 3], [[32, 1, 1, 1], [1, 15_000, 3, 3]], 1),
    ([15_000, 32, 3, 3], [[15_000, 1, 3, 3], [1, 32, 1, 1]], 0),
    ([15_000, 32, 3, 3], [[15_000, 1, 1, 3], [1, 32, 3, 1]], 0),
  ])
  func fitsLargeKernelsInParts(shape: [Int], shapes: [[Int]], mode: Int) throws {
    let kernel = gaussian(shape, seed: 8)
    let candidate = try Candidate(
      structure: "svd", shapes: shapes, ranks: [9], discrepancy: 1,
      convolution: Convolution(kernelShape: shape, window: .unit(shape.count - 2)), hasBias: false)
    var largest = 0
    let parts = KernelParts(shape: shape) { ownMode, range in
      #expect(ownMode == mode)
      largest = max(largest, range.count)
      return kernel.samples(range, axis: ownMode)
    }
    let fitted = try #require(try candidate.fit(parts))
    let whole = try candidate.fit(kernel)
    #expect(0 < largest && largest <= shape[mode] / 2)
    #expect(
      abs(fitted.discrepancy - whole.discrepancy) <= 1e-12 && fitted.weights.map(\.shape) == whole.weights.map(\.shape))
    for (ours, theirs) in zip(fitted.weights, whole.weights) { #expect(ours.relativeDiscrepancy(from: theirs) <= 1e-9) }
    // From the factors themselves.
    let distance = fitted.reconstruct().relativeDiscrepancy(from: kernel)
    #expect(abs(distance - fitted.discrepancy) <= 1e-12)
  }

  /// What needs the whole kernel says so.
  @Test(arguments: [
    ([8, 8], [[8, 1], [1, 8]]), ([64, 70_000], [[32, 7], [2, 10_000]]),
  ])
  func otherKernelsAreFittedAsAWhole(shape: [Int], shapes: [[Int]]) throws {
    let candidate = try Candidate(
      structure: "gkpd", shapes: shapes, ranks: [2], discrepancy: 1,
      convolution: Convolution(kernelShape: shape, window: .unit(0)), hasBias: false)
    let parts = KernelParts(shape: shape) { _, _ in Tensor(zeros: []) }
    #expect(try candidate.fit(parts)?.weights == nil)
  }

  @Test(arguments: samplePatterns.indices)
  func lossNeverRisesWithASweep(index: Int) throws {
    let pattern = try samplePattern(index)
    let kernel = gaussian([12, 8, 3, 3], seed: 4)
    let result = AlternatingLeastSquares(sweepLimit: 60).fit(
      try FitObjective(kernel), from: gaussianFactors(pattern, seed: 9))
    #expect(result.losses.count > 2)
    for (before, after) in zip(result.losses, result.losses.dropFirst()) { #expect(after <= before) }
    // The loss that the equations tell is that of the reconstruction.
    let discrepancy = result.factorization.reconstruct().relativeDiscrepancy(from: kernel)
    #expect(abs(discrepancy * discrepancy - (result.losses.last ?? .nan)) <= 1e-9)
  }

  @Test(arguments: samplePatterns.indices)
  func discrepancyNeverRisesWithTheRank(index: Int) throws {
    let pattern = try samplePattern(index)
    let fits = try Fitting(FitObjective(gaussian([12, 8, 3, 3], seed: 6))).climb(
      to: FactorPattern(pattern.form, ranks: pattern.ranks.map { $0 + 3 }).clamped)
    #expect(fits.count > 2)
    for (small, large) in zip(fits, fits.dropFirst()) {
      #expect(large.factorization.parameterCount > small.factorization.parameterCount)
      #expect(large.discrepancy <= small.discrepancy * (1 + 1e-9))
    }
  }

  @Test(arguments: Structures.all.map(\.name))
  func fullRankReconstructs(structure: String) throws {
    let kernel = gaussian([4, 3, 2, 2], seed: 7)
    let structure = try Structures.named(structure)
    let proposal = try #require(try structure.proposals(KernelSpectra(kernel), parameters: 200).first)
    let full = FactorPattern(proposal.form, ranks: proposal.ranks.map { _ in 1000 }).clamped
    let fit = try Fitting(FitObjective(kernel)).fit(full, of: structure, effort: .final)
    #expect(fit.discrepancy <= 1e-6, "\(full)")
  }

  @Test(arguments: samplePatterns.indices)
  func theSameKernelGivesTheSameFactors(index: Int) throws {
    let pattern = try samplePattern(index)
    let structure = try Structures.named(samplePatterns[index].structure)
    let fitting = Fitting(try FitObjective(gaussian([12, 8, 3, 3], seed: 8)))
    let first = try fitting.fit(pattern, of: structure, effort: .final)
    #expect(try fitting.fit(pattern, of: structure, effort: .final).factorization == first.factorization)
    // What a sweep promises, the final fit keeps or passes.
    let swept = try fitting.fit(pattern, of: structure, effort: .sweep)
    #expect(first.discrepancy <= swept.discrepancy * (1 + 1e-12))
  }

  /// a a b + a b a + b a a has rank 3 and is the limit of tensors of rank 2 whose terms grow without bound.
  @Test func componentsOfADegenerateTensorStayBounded() throws {
    let (a, b) = (gaussian([6], seed: 5).elements, gaussian([6], seed: 6).elements)
    var elements: [Double] = []
    for i in 0..<6 {
      for j in 0..<6 {
        for k in 0..<6 { elements.append(a[i] * a[j] * b[k] + a[i] * b[j] * a[k] + b[i] * a[j] * a[k]) }
      }
    }
    let kernel = Tensor<Double>(shape: [6, 6, 6], elements: elements)
    let pattern = FactorPattern(
      shapes: [[6, 1, 1], [1, 6, 1], [1, 1, 6]], ranks: [2], rankAxes: [[0], [0], [0]])
    let fit = try Fitting(FitObjective(kernel)).fit(pattern, of: CP(), effort: .final)
    #expect(fit.discrepancy < 0.2)
    // The ridge lets the squared norms reach about its inverse: loss * (1 + ridge * norms) may not exceed what it was.
    let scale = 3 * (kernel.norm * kernel.norm)
    let norms = fit.factorization.factors.reduce(0) { $0 + $1.squaredNorm }
    #expect(norms < scale / AlternatingLeastSquares().ridge)
    let rounded = Factorization(
      pattern, factors: fit.factorization.factors.map { $0.map { Double(Float($0)) } })
    #expect(abs(rounded.reconstruct().relativeDiscrepancy(from: kernel) - fit.discrepancy) < 1e-4)
  }

  @Test func largeKernelsAreFittedInSinglePrecisionWithoutLoss() throws {
    // Above 2^18 elements; the exact form, so that the fit has to go over to double precision on its way.
    let pattern = FactorPattern(
      shapes: [[180, 1, 1, 1], [1, 170, 1, 1], [1, 1, 3, 3]], ranks: [3], rankAxes: [[0], [0], [0]])
    let kernel = gaussianFactors(pattern, seed: 3).reconstruct()
    let result = AlternatingLeastSquares(sweepLimit: 60).fit(
      try FitObjective(kernel), from: gaussianFactors(pattern, seed: 30))
    #expect(result.factorization.reconstruct().relativeDiscrepancy(from: kernel) <= 1e-4)
  }
}

/// Kernels that are not as usual.
@Suite struct UnusualKernelTests {
  /// Every structure's curve is finite, falls, and is kept by the fit.
  private func check(_ kernel: Tensor<Double>, expectsCandidates: Bool = true) throws {
    let candidates = try Sweep().candidates(
      for: kernel, convolution: unitConvolution(kernel.shape), hasBias: false)
    #expect(candidates.isEmpty != expectsCandidates)
    for candidate in candidates {
      #expect(candidate.discrepancy >= 0 && candidate.discrepancy <= 1 + 1e-9)
      #expect(candidate.parameterCount < kernel.count)
    }
    for candidate in candidates.suffix(2) + candidates.prefix(2) {
      let fitted = try candidate.fit(kernel)
      #expect(fitted.discrepancy <= candidate.discrepancy + 1e-7)
      #expect(fitted.weights.allSatisfy { $0.isFinite })
    }
  }

  @Test(arguments: [
    [7, 13, 3, 3], [13, 7, 3], [11, 509], [1, 16, 3, 3], [16, 1, 3, 3], [9, 5, 1, 1], [4, 6, 2, 3, 2],
  ])
  func shapes(_ shape: [Int]) throws { try check(gaussian(shape, seed: 2)) }

  @Test(arguments: [[1, 9], [9, 1], [1, 1, 3, 3], [1, 1]])
  func kernelsWithNothingToGain(_ shape: [Int]) throws {
    let candidates = try Sweep().candidates(
      for: gaussian(shape), convolution: unitConvolution(shape), hasBias: false)
    for candidate in candidates { #expect(candidate.parameterCount < shape.reduce(1, *)) }
  }

  @Test func zero() throws {
    let kernel = Tensor<Double>(zeros: [6, 4, 3, 3])
    for candidate in try Sweep().candidates(for: kernel, convolution: unitConvolution([6, 4, 3, 3]), hasBias: false) {
      #expect(candidate.discrepancy == 0)
      #expect(try candidate.fit(kernel).discrepancy == 0)
    }
  }

  @Test func zeroAndConstantSlices() throws {
    var kernel = gaussian([8, 6, 3, 3], seed: 3)
    for i in 0..<54 { kernel.elements[i] = 0 }
    for i in 54..<108 { kernel.elements[i] = 0.25 }
    try check(kernel)
    try check(Tensor(shape: [8, 6, 3, 3], elements: Array(repeating: 0.5, count: 432)))
  }

  @Test func rankDeficientAndTiny() throws {
    let low = gaussian([8, 2], seed: 4).times(gaussian([2, 54], seed: 5)).reshaped([8, 6, 3, 3])
    try check(low)
    // The smallest that single precision holds, beside ordinary weights.
    try check(low.map { abs($0) < 1 ? $0 * 1e-44 : $0 })
    try check(low.map { $0 * 1e-30 })
  }

  @Test(arguments: Structures.all.map(\.name), [Double.nan, .infinity])
  func refusesWhatIsNotFinite(structure: String, value: Double) throws {
    var kernel = gaussian([4, 4, 3, 3])
    kernel.elements[7] = value
    #expect(throws: Failure.self) {
      try Sweep(structures: [Structures.named(structure)]).candidates(
        for: kernel, convolution: unitConvolution(kernel.shape), hasBias: false)
    }
  }

  @Test func ranksBeyondFullRankAreLoweredWithANote() throws {
    let candidate = try Candidate(
      structure: "tt", shapes: [[6, 1, 1, 1], [1, 4, 1, 1], [1, 1, 3, 3]], ranks: [50, 50], discrepancy: 0,
      convolution: unitConvolution([6, 4, 3, 3]), hasBias: false)
    #expect(candidate.ranks == [6, 9])
    #expect(candidate.note.contains("[50, 50]"))
    #expect(try candidate.fit(gaussian([6, 4, 3, 3])).discrepancy <= 1e-6)
  }

  @Test func unknownStructuresAndWrongShapesAreRefused() {
    #expect(throws: Failure.self) { try Structures.named("magic") }
    for shapes in [[[4, 1], [1, 5]], [[4, 1], [2, 4]], [[4, 4]], [[4], [4]], [[-4, 1], [-1, 4]]] {
      #expect(throws: Failure.self) {
        try Candidate(
          structure: "cp", shapes: shapes, ranks: [2], discrepancy: 0, convolution: unitConvolution([4, 4]),
          hasBias: false)
      }
    }
    #expect(throws: Failure.self) {
      try Candidate(
        structure: "cp", shapes: [[4, 1], [1, 4]], ranks: [0], discrepancy: 0,
        convolution: unitConvolution([4, 4]), hasBias: false)
    }
  }
}
