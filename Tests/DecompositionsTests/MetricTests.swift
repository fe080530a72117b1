import Basics
import LinearAlgebra
import TensorCore
import Testing

@testable import Decompositions

/// Fits in the norm of the layer's inputs.
@Suite struct MetricTests {
  /// A second moment whose inputs are strongly correlated: mostly the span of a few directions.
  private func secondMoment(_ patch: Int, seed: UInt64) -> Tensor<Double> {
    let few = gaussian([patch, 3], seed: seed)
    let most = few.times(few, otherTransposed: true)
    return Tensor(
      shape: [patch, patch],
      elements: most.elements.enumerated().map { $1 + ($0 % (patch + 1) == 0 ? 0.05 : 0) })
  }

  @Test(arguments: samplePatterns.indices)
  func theWeightedFitWinsInItsNorm(index: Int) throws {
    let pattern = try samplePattern(index)
    let structure = try Structures.named(samplePatterns[index].structure)
    let kernel = gaussian([12, 8, 3, 3], seed: 4)
    let weighted = try FitObjective(kernel, norm: FitNorm(secondMoment: secondMoment(72, seed: 5)))
    let plain = try Fitting(FitObjective(kernel)).fit(pattern, of: structure, effort: .final)
    // From the plain fit on, and so never above it.
    let result = AlternatingLeastSquares(sweepLimit: 40).fit(weighted, from: plain.factorization)
    for (before, after) in zip(result.losses, result.losses.dropFirst()) { #expect(after <= before) }
    let reached = weighted.discrepancy(of: result.factorization.reconstruct())
    #expect(reached < 0.9 * weighted.discrepancy(of: plain.factorization.reconstruct()), "\(pattern)")
    #expect(abs(reached * reached - (result.losses.last ?? .nan)) <= 1e-8)
  }

  /// Eckart and Young: what is lost are the singular values that are left out, of the kernel between the roots of both norms.
  @Test(arguments: [[6, 5, 3, 1], [40, 4, 1, 3], [9, 9]], [false, true])
  func aMatrixHasItsOptimumAtOnce(shape: [Int], hasOutputNorm: Bool) throws {
    let kernel = gaussian(shape, seed: 30)
    let patch = shape.dropFirst().reduce(1, *)
    let moment = secondMoment(patch, seed: 31)
    let output = hasOutputNorm ? try ModeNorm(secondMoment(shape[0], seed: 32)) : nil
    let objective = try FitObjective(kernel, norm: FitNorm(secondMoment: moment, output: output))
    let lower = Tensor(shape: [patch, patch], elements: try Cholesky(moment).lower)
    let rows = (output?.applied(to: kernel, mode: 0) ?? kernel).reshaped([shape[0], patch]).times(lower)
    let squares = try SingularValueDecomposition(rows).values.map { $0 * $0 }
    let fitting = Fitting(objective)
    for rank in [1, 2, 4] {
      let shapes = [[shape[0]] + shape.dropFirst().map { _ in 1 }, [1] + shape.dropFirst()]
      let fit = try fitting.fit(
        FactorPattern(shapes: shapes, ranks: [rank], rankAxes: [[0], [0]]), of: LowRank(), effort: .sweep)
      let least = (squares.dropFirst(rank).reduce(0, +) / squares.reduce(0, +)).squareRoot()
      // Gram matrices keep the squares of singular values to 16 digits of the largest.
      #expect(abs(fit.discrepancy - least) <= 1e-7, "rank \(rank)")
      #expect(fit.converged && fit.sweeps == 0)
    }
  }

  /// Wide enough that no factor's matrix over patch and ranks is formed.
  @Test func theWeightedFitOfAWideLayerNeedsNoMatrix() throws {
    let kernel = gaussian([20, 40, 3, 3], seed: 14)
    let objective = try FitObjective(kernel, norm: FitNorm(secondMoment: secondMoment(360, seed: 15)))
    let pattern = FactorPattern(
      shapes: [[20, 1, 1, 1], [1, 40, 1, 1], [1, 1, 3, 3]], ranks: [40], rankAxes: [[0], [0], [0]])
    let plain = AlternatingLeastSquares(sweepLimit: 30).fit(
      try FitObjective(kernel), from: gaussianFactors(pattern, seed: 3))
    let result = AlternatingLeastSquares(sweepLimit: 30).fit(objective, from: plain.factorization)
    for (before, after) in zip(result.losses, result.losses.dropFirst()) { #expect(after <= before) }
    let reached = objective.discrepancy(of: result.factorization.reconstruct())
    // Products in single precision leave the loss good to about 1e-6.
    #expect(abs(reached * reached - (result.losses.last ?? .nan)) <= 1e-5)
    #expect(reached < 0.7 * objective.discrepancy(of: plain.factorization.reconstruct()))
  }

  /// W x is what W E[x y^T] E[y y^T]^-1 makes of y when y is an invertible image of x.
  @Test func theObjectiveOfOtherInputsFindsTheirKernel() throws {
    let kernel = gaussian([4, 3, 2, 1], seed: 16)
    let (moment, map) = (secondMoment(6, seed: 17), gaussian([6, 6], seed: 18))
    let cross = moment.times(map, otherTransposed: true)
    let objective = try FitObjective(
      kernelShape: kernel.shape, secondMoment: map.times(cross),
      crossMoment: kernel.reshaped([4, 6]).times(cross))
    let back = objective.kernel.reshaped([4, 6]).times(map)
    #expect(back.relativeDiscrepancy(from: kernel.reshaped([4, 6])) <= 1e-8)
  }

  /// For a low rank over (out) x (patch) the best fit is known: the SVD of W S^(1/2).
  @Test func theWeightedLowRankIsTheSVDOfTheWhitenedKernel() throws {
    let kernel = gaussian([10, 6, 3, 1], seed: 6)
    let moment = secondMoment(18, seed: 7)
    let objective = try FitObjective(kernel, norm: FitNorm(secondMoment: moment))
    let pattern = FactorPattern(shapes: [[10, 1, 1, 1], [1, 6, 3, 1]], ranks: [3], rankAxes: [[0], [0]])
    let fit = AlternatingLeastSquares(sweepLimit: 200, progress: 1e-9).fit(
      objective, from: gaussianFactors(pattern, seed: 8))
    // ||W S^(1/2)||'s singular values from W S W^T.
    let flat = kernel.reshaped([10, 18])
    let values = try SymmetricEigendecomposition.values(of: flat.times(moment).times(flat, otherTransposed: true))
    let expected = (values[3...].reduce(0, +) / values.reduce(0, +)).squareRoot()
    #expect(abs(objective.discrepancy(of: fit.factorization.reconstruct()) - expected) <= 1e-4 * expected)
  }

  @Test func theIdentityIsNoMetric() throws {
    let kernel = gaussian([6, 5, 3, 3], seed: 8)
    let identity = Tensor<Double>(
      shape: [45, 45], elements: (0..<45 * 45).map { $0 % 46 == 0 ? 2.5 : 0 })
    let pattern = FactorPattern(
      shapes: [[6, 1, 1, 1], [1, 5, 1, 1], [1, 1, 3, 3]], ranks: [3], rankAxes: [[0], [0], [0]])
    let start = gaussianFactors(pattern, seed: 2)
    let plain = AlternatingLeastSquares(sweepLimit: 8).fit(try FitObjective(kernel), from: start)
    let metric = AlternatingLeastSquares(sweepLimit: 8).fit(
      try FitObjective(kernel, norm: FitNorm(secondMoment: identity)), from: start)
    for (a, b) in zip(plain.losses, metric.losses) { #expect(abs(a - b) <= 1e-9) }
  }

  /// A second moment of output gradients in which some directions count far more than others.
  private func outputMoment(_ outputs: Int, seed: UInt64) -> Tensor<Double> { secondMoment(outputs, seed: seed) }

  /// ||G^(1/2) D S^(1/2)||^2 is the trace of G D S D^T.
  @Test func theNormOfOutputsWeighsErrors() throws {
    let (kernel, other) = (gaussian([6, 4, 3, 1], seed: 21), gaussian([6, 4, 3, 1], seed: 22))
    let (inputs, outputs) = (secondMoment(12, seed: 23), try ModeNorm(outputMoment(6, seed: 24)))
    let objective = try FitObjective(kernel, norm: FitNorm(secondMoment: inputs, output: outputs))
    let gram = outputs.root.times(outputs.root)
    func square(_ rows: Tensor<Double>) -> Double {
      let image = gram.times(rows).times(inputs)
      return zip(rows.elements, image.elements).reduce(0) { $0 + $1.0 * $1.1 }
    }
    let difference = Tensor(shape: [6, 12], elements: zip(kernel.elements, other.elements).map { $0 - $1 })
    let expected = (square(difference) / square(kernel.reshaped([6, 12]))).squareRoot()
    #expect(abs(objective.discrepancy(of: other) - expected) <= 1e-10)
    #expect(abs((0..<6).reduce(0) { $0 + gram.elements[$1 * 7] } - 6) <= 1e-10)
  }

  /// The best low rank in both norms is the SVD of G^(1/2) W S^(1/2).
  @Test func theLowRankInBothNormsIsTheSVD() throws {
    let kernel = gaussian([10, 6, 3, 1], seed: 25)
    let (inputs, outputs) = (secondMoment(18, seed: 26), try ModeNorm(outputMoment(10, seed: 27)))
    let objective = try FitObjective(kernel, norm: FitNorm(secondMoment: inputs, output: outputs))
    let pattern = FactorPattern(shapes: [[10, 1, 1, 1], [1, 6, 3, 1]], ranks: [3], rankAxes: [[0], [0]])
    let fit = try Fitting(objective).improved(gaussianFactors(pattern, seed: 8), sweeps: 100)
    let flat = outputs.root.times(kernel.reshaped([10, 18]))
    let values = try SymmetricEigendecomposition.values(of: flat.times(inputs).times(flat, otherTransposed: true))
    let expected = (values[3...].reduce(0, +) / values.reduce(0, +)).squareRoot()
    #expect(abs(fit.discrepancy - expected) <= 2e-4 * expected)
  }

  /// Outputs that are split into digits: where G is a Kronecker product, its roots are those of the digits.
  @Test func theRootsOfDigitsMakeTheRoot() throws {
    let (a, b) = (outputMoment(3, seed: 28), outputMoment(4, seed: 29))
    let product = Tensor<Double>(
      shape: [12, 12],
      elements: (0..<144).map { position in
        let (i, j) = (position / 12, position % 12)
        return a.elements[i / 4 * 3 + j / 4] * b.elements[i % 4 * 4 + j % 4]
      })
    let norm = try ModeNorm(product)
    let kernel = gaussian([12, 2, 3, 1], seed: 30)
    let roots = try norm.roots(of: [[3, 1, 1, 1], [1, 2, 3, 1], [4, 1, 1, 1]], mode: 0)
    let whole = norm.root.times(kernel.reshaped([12, 6]))
    // The ridge on the diagonal of the product is not quite a product of ridges.
    #expect(roots.applied(to: kernel).reshaped([12, 6]).relativeDiscrepancy(from: whole) <= 0.1)
    let pattern = FactorPattern(
      shapes: [[3, 1, 1, 1], [1, 2, 3, 1], [4, 1, 1, 1]], ranks: [5], rankAxes: [[0], [0], [0]])
    let factors = gaussianFactors(pattern, seed: 31)
    let back = roots.undone(roots.applied(to: factors)).reconstruct()
    #expect(back.relativeDiscrepancy(from: factors.reconstruct()) <= 1e-9)
    let scaled = roots.applied(to: factors).reconstruct()
    #expect(roots.applied(to: factors.reconstruct()).relativeDiscrepancy(from: scaled) <= 1e-10)
  }

  /// The fit in the norm of inputs and outputs is never above the fits in either alone, whatever the structure.
  @Test(arguments: samplePatterns.indices)
  func theFitInBothNormsWins(index: Int) throws {
    let pattern = try samplePattern(index)
    let structure = try Structures.named(samplePatterns[index].structure)
    let kernel = gaussian([12, 8, 3, 3], seed: 4)
    let moment = secondMoment(72, seed: 5)
    let inputs = FitNorm(secondMoment: moment)
    let both = FitNorm(secondMoment: moment, output: try ModeNorm(outputMoment(12, seed: 6)))
    let objective = try FitObjective(kernel, norm: both)
    let first = try Fitting(FitObjective(kernel, norm: inputs)).fit(pattern, of: structure, effort: .final)
    let next = try Fitting(objective).improved(first.factorization, sweeps: 20)
    let before = objective.discrepancy(of: first.factorization.reconstruct())
    if pattern.shapes.allSatisfy({ $0[0] == 1 || $0[0] == 12 }) {
      #expect(next.discrepancy <= before * (1 + 1e-9))
      #expect(next.discrepancy < 0.95 * before)
    } else {
      // The digits' norm stands for the whole one.
      #expect(next.discrepancy < 1.05 * before)
    }
  }

  /// A norm of input channels is that of whole patches whose taps are independent and alike, whatever the structure.
  @Test(arguments: samplePatterns.indices)
  func theNormOfChannelsIsThatOfIndependentTaps(index: Int) throws {
    let pattern = try samplePattern(index)
    let structure = try Structures.named(samplePatterns[index].structure)
    let (kernel, channels) = (gaussian([12, 8, 3, 3], seed: 4), secondMoment(8, seed: 9))
    let input = try ModeNorm(channels)
    // With the ridge that the norm adds.
    let square = input.root.times(input.root)
    var patches = Tensor<Double>(shape: [72, 72], elements: Array(repeating: 0, count: 72 * 72))
    patches = Tensor(
      shape: [72, 72],
      elements: patches.elements.indices.map { position in
        let (i, j) = (position / 72, position % 72)
        return i % 9 == j % 9 ? square.elements[i / 9 * 8 + j / 9] : 0
      })
    let whole = try FitObjective(kernel, norm: FitNorm(secondMoment: patches))
    let own = try FitObjective(kernel, norm: FitNorm(input: input))
    let plain = try Fitting(FitObjective(kernel)).fit(pattern, of: structure, effort: .final)
    let (a, b) = (own.discrepancy(of: plain.factorization.reconstruct()), plain.factorization.reconstruct())
    #expect(abs(a - whole.discrepancy(of: b)) <= 1e-9)
    // Fits from the same start come to about the same, and below the fit to the weights.
    let fit = try Fitting(own).improved(plain.factorization, sweeps: 30)
    #expect(abs(fit.discrepancy - own.discrepancy(of: fit.factorization.reconstruct())) <= 1e-9)
    if pattern.shapes.allSatisfy({ $0[1] == 1 || $0[1] == 8 }) {
      #expect(fit.discrepancy < 0.95 * a)
      let other = try Fitting(whole).improved(plain.factorization, sweeps: 30)
      #expect(abs(fit.discrepancy - other.discrepancy) <= 0.02 * other.discrepancy)
    } else {
      #expect(fit.discrepancy < 1.05 * a)
    }
  }

  @Test(arguments: [0, Double.nan, .infinity])
  func refusesMomentsThatAreNoNorm(value: Double) {
    let moment = Tensor<Double>(shape: [4, 4], elements: Array(repeating: value, count: 16))
    #expect(throws: Failure.self) { try FitObjective(gaussian([3, 4]), norm: FitNorm(secondMoment: moment)) }
    #expect(throws: Failure.self) { try ModeNorm(moment) }
  }
}
