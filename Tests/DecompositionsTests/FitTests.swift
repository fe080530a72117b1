import Basics
import Decompositions
import Foundation
import LinearAlgebra
import ModelGraph
import TensorCore
import Testing

@Suite struct FitTests {
  private static let shapes: [String: (shapes: [[Int]], ranks: [Int])] = [
    "svd": ([[12, 1, 1, 1], [1, 8, 3, 3]], [3]),
    "tucker2": ([[12, 1, 1, 1], [1, 1, 3, 3], [1, 8, 1, 1]], [4, 3]),
    "cp": ([[12, 1, 1, 1], [1, 8, 1, 1], [1, 1, 3, 3]], [3]),
    "gkpd": ([[4, 2, 1, 1], [3, 4, 3, 3]], [2]),
  ]

  private func gaussian(_ shape: [Int], seed: UInt64 = 1) -> Tensor<Double> {
    var generator = SplitMix64(seed: seed)
    return Tensor(gaussian: shape, using: &generator)
  }

  private func convolution(_ shape: [Int]) -> Convolution {
    Convolution(kernelShape: shape, window: .unit(shape.count - 2))
  }

  /// The candidates that a sweep offers for a random kernel: every structure with its own shapes and ranks.
  private func candidates(_ structure: String, _ kernel: Tensor<Double>) throws -> [Candidate] {
    try Sweep(structures: [Structures.named(structure)]).candidates(
      for: kernel, convolution: convolution(kernel.shape), hasBias: false)
  }

  @Test(arguments: ["svd", "tucker2", "cp", "gkpd"])
  func recoversWhatHasItsForm(structure: String) throws {
    let random = gaussian([12, 8, 3, 3])
    let all = try candidates(structure, random)
    let candidate = try #require(all.dropFirst(all.count / 4).first)
    // A kernel that this candidate can express exactly: its own reconstruction from random weights.
    let weights = candidate.stages.convolutions.enumerated().map { gaussian($1.kernelShape, seed: UInt64($0 + 5)) }
    let kernel = try candidate.reconstruct(from: weights)
    let fitted = try candidate.fit(kernel)
    // Alternating fits converge linearly and stop on relative progress.
    let isDirect = ["svd", "gkpd"].contains(structure)
    #expect(fitted.discrepancy <= (isDirect ? 1e-12 : 2e-3), "\(candidate.shapes) \(candidate.ranks)")
    let again = try candidate.reconstruct(from: fitted.weights)
    #expect(abs(again.relativeDiscrepancy(from: kernel) - fitted.discrepancy) <= 1e-12)
  }

  @Test(arguments: ["svd", "tucker2", "cp", "gkpd"])
  func largerCandidatesAreBetterAndScoresHold(structure: String) throws {
    let kernel = gaussian([16, 12, 3, 3], seed: 2)
    let all = try candidates(structure, kernel)
    #expect(all.count > 4)
    for (small, large) in zip(all, all.dropFirst()) {
      #expect(small.parameterCount < large.parameterCount && small.discrepancy > large.discrepancy)
    }
    for candidate in [all[0], all[all.count / 2], all[all.count - 1]] {
      let fitted = try candidate.fit(kernel)
      // What the sweep promised is what the fit reaches.
      #expect(fitted.discrepancy <= candidate.discrepancy * (1 + 1e-6) + 1e-9)
      #expect(try candidate.fit(kernel).weights == fitted.weights)
      #expect(candidate.parameterCount < kernel.count)
    }
  }

  @Test func kroneckerErrorsAreTailsOfSingularValues() throws {
    let kernel = gaussian([8, 6, 3, 3], seed: 3)
    for candidate in try candidates("gkpd", kernel) {
      let matrix = candidate.pattern.rearranged(kernel)
      let values = try SingularValueDecomposition(matrix.reshaped([matrix.shape[0], matrix.count / matrix.shape[0]]))
        .values
      let tail = values[candidate.ranks[0]...].reduce(0) { $0 + $1 * $1 }
      let expected = (tail / values.reduce(0) { $0 + $1 * $1 }).squareRoot()
      #expect(abs(candidate.discrepancy - expected) <= 1e-7)
    }
  }

  @Test func lossNeverRises() throws {
    let kernel = gaussian([10, 9, 3, 3], seed: 4)
    for (structure, (shapes, ranks)) in Self.shapes where structure != "svd" {
      let own = shapes.map { shape in shape.map { $0 == 12 ? 10 : $0 == 8 ? 9 : $0 } }
      guard structure != "gkpd" else { continue }
      let axes = try Structures.named(structure).rankAxes
      let pattern = FactorPattern(shapes: own, ranks: ranks, rankAxes: axes)
      let start = Factorization(
        pattern, factors: own.indices.map { gaussian(pattern.factorShape($0), seed: UInt64($0)) })
      let result = try AlternatingLeastSquares(sweepLimit: 60).fit(kernel, from: start)
      for (before, after) in zip(result.losses, result.losses.dropFirst()) {
        #expect(after <= before * (1 + 1e-9), "\(structure)")
      }
      let discrepancy = result.factorization.reconstruct().relativeDiscrepancy(from: kernel)
      #expect(abs(discrepancy * discrepancy - (result.losses.last ?? .nan)) <= 1e-9)
    }
  }

  /// a a b + a b a + b a a has rank 3 and is the limit of tensors of rank 2 whose terms grow without bound.
  @Test func componentsOfADegenerateTensorStayBounded() throws {
    let (a, b) = (gaussian([6], seed: 5), gaussian([6], seed: 6))
    var elements: [Double] = []
    for i in 0..<6 {
      for j in 0..<6 {
        for k in 0..<6 {
          let (x, y) = (a.elements, b.elements)
          elements.append(x[i] * x[j] * y[k] + x[i] * y[j] * x[k] + y[i] * x[j] * x[k])
        }
      }
    }
    let kernel = Tensor<Double>(shape: [6, 6, 6], elements: elements)
    let candidate = try Candidate(
      structure: "cp", shapes: [[6, 1, 1], [1, 6, 1], [1, 1, 6]], ranks: [2], discrepancy: 0,
      convolution: convolution([6, 6, 6]), hasBias: false)
    let fitted = try candidate.fit(kernel)
    #expect(fitted.discrepancy < 0.2)
    // The ridge lets the squared norms reach about its inverse: loss * (1 + ridge * norms) may not exceed what it was.
    let norms = fitted.weights.reduce(0) { $0 + $1.squaredNorm } / pow(kernel.norm, 2.0 / 3)
    #expect(norms < 1 / AlternatingLeastSquares().ridge)
    let single = fitted.weights.map { $0.map { Double(Float($0)) } }
    let rounded = try candidate.reconstruct(from: single).relativeDiscrepancy(from: kernel)
    #expect(abs(rounded - fitted.discrepancy) < 1e-4)
  }

  @Test func refusesKernelsThatAreNotFinite() {
    var kernel = gaussian([4, 4, 3, 3])
    kernel.elements[7] = .nan
    for structure in Structures.all {
      #expect(throws: Failure.self) { try candidates(structure.name, kernel) }
    }
  }

  @Test func zeroKernelsNeedNothing() throws {
    let kernel = Tensor<Double>(zeros: [4, 4, 3, 3])
    for structure in Structures.all {
      for candidate in try candidates(structure.name, kernel) {
        #expect(candidate.discrepancy == 0)
        #expect(try candidate.fit(kernel).discrepancy == 0)
      }
    }
  }

  @Test func unknownStructuresAndWrongShapesAreRefused() {
    #expect(throws: Failure.self) { try Structures.named("magic") }
    #expect(throws: Failure.self) {
      try Candidate(
        structure: "cp", shapes: [[4, 1], [1, 5]], ranks: [2], discrepancy: 0,
        convolution: convolution([4, 4]), hasBias: false)
    }
  }
}
