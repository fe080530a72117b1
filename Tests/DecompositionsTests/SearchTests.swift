import Basics
import Decompositions
import LinearAlgebra
import ModelGraph
import TensorCore
import Testing

@Suite struct SearchTests {
  /// Over every pair of divisor shapes and every rank, by singular values of the rearranged kernel.
  private func exhaustiveGKPD(_ kernel: Tensor<Double>, parameters: Int) throws -> Double {
    func divisors(_ n: Int) -> [Int] { (1...n).filter { n % $0 == 0 } }
    var best = Double.infinity
    for f in divisors(kernel.shape[0]) {
      for c in divisors(kernel.shape[1]) {
        for h in divisors(kernel.shape[2]) {
          for w in divisors(kernel.shape[3]) {
            let (a, b) = ([f, c, h, w], zip(kernel.shape, [f, c, h, w]).map { $0 / $1 })
            let (rows, columns) = (a.reduce(1, *), b.reduce(1, *))
            guard rows > 1, columns > 1, rows + columns <= parameters else { continue }
            let form = FactorForm(shapes: [a, b], rankAxes: [[0], [0]])
            let values = try SingularValueDecomposition(form.rearranged(kernel)).values
            for rank in 1...min(values.count, parameters / (rows + columns)) {
              best = min(best, values[rank...].reduce(0) { $0 + $1 * $1 })
            }
          }
        }
      }
    }
    return (best / kernel.squaredNorm).squareRoot()
  }

  @Test(arguments: 0..<50 as Range<UInt64>)
  func findsTheBestGKPD(seed: UInt64) throws {
    let shapes = [[6, 4, 3, 3], [8, 8, 3, 3], [5, 6, 2, 2], [12, 4, 1, 3], [4, 9, 4, 1]]
    let shape = shapes[Int(seed) % shapes.count]
    // Half of them with structure, so that shapes differ.
    let noise = gaussian(shape, seed: seed)
    let low = gaussian([shape[0], 2], seed: seed + 100).times(gaussian([2, noise.count / shape[0]], seed: seed + 200))
    let kernel =
      seed % 2 == 0 ? noise : Tensor(shape: shape, elements: zip(noise.elements, low.elements).map { 0.3 * $0 + $1 })
    for divisor in [2, 3, 6] {
      let parameters = kernel.count / divisor
      let search = try PatternSearch(kernel, convolution: unitConvolution(shape), hasBias: false)
      let best = try search.best(of: GKPD(), parameters: parameters, effort: .thorough)
      let expected = try exhaustiveGKPD(kernel, parameters: parameters)
      guard expected.isFinite else {
        #expect(best == nil)
        continue
      }
      let found = try #require(best)
      #expect(abs(found.discrepancy - expected) <= 1e-7)
      #expect(found.parameterCount <= parameters)
      #expect(try abs(found.fit(kernel).discrepancy - expected) <= 1e-7)
    }
  }

  @Test(arguments: Structures.all.map(\.name))
  func curvesFall(structure: String) throws {
    let kernel = gaussian([16, 12, 3, 3], seed: 2)
    let curve = try Sweep(structures: [Structures.named(structure)]).candidates(
      for: kernel, convolution: unitConvolution(kernel.shape), hasBias: false)
    #expect(curve.count > 4)
    for (small, large) in zip(curve, curve.dropFirst()) {
      #expect(small.parameterCount < large.parameterCount && small.discrepancy > large.discrepancy)
    }
    for candidate in [curve[0], curve[curve.count / 2], curve[curve.count - 1]] {
      let fitted = try candidate.fit(kernel)
      #expect(fitted.discrepancy <= candidate.discrepancy * (1 + 1e-6) + 1e-9)
      #expect(try candidate.fit(kernel).weights == fitted.weights)
    }
  }

  /// SeKron has CP among its forms, and a fit of one is the fit of the other.
  @Test func sekronIsNeverWorseThanCP() throws {
    for (seed, shape) in [(1, [8, 8, 3, 3]), (2, [12, 6, 3, 3]), (3, [8, 6, 5])] as [(UInt64, [Int])] {
      let kernel = gaussian(shape, seed: seed)
      let search = try PatternSearch(kernel, convolution: unitConvolution(shape), hasBias: false)
      for divisor in [2, 5] {
        let cp = try #require(try search.best(of: CP(), parameters: kernel.count / divisor, effort: .thorough))
        let sekron = try #require(try search.best(of: SeKron(), parameters: kernel.count / divisor, effort: .thorough))
        #expect(sekron.discrepancy <= cp.discrepancy * (1 + 1e-9))
      }
    }
  }

  @Test func whatTheWriterRefusesIsNotOffered() throws {
    let kernel = gaussian([8, 8, 3, 3])
    let candidates = try Sweep().candidates(for: kernel, convolution: unitConvolution([8, 8, 3, 3]), hasBias: false) {
      $1.allSatisfy { if case .permutation = $0 { false } else { true } }
    }
    #expect(!candidates.isEmpty)
    for candidate in candidates {
      #expect(candidate.stages.allSatisfy { if case .permutation = $0 { false } else { true } })
    }
  }

  @Test func scaledPatternsUseWhatTheyMay() {
    let pattern = FactorPattern(
      shapes: [[64, 1, 1, 1], [1, 1, 3, 3], [1, 64, 1, 1]], ranks: [8, 8, 4], rankAxes: [[2, 0], [0, 1], [1, 2]])
    for limit in [400, 1000, 5000, 20000] {
      let scaled = pattern.scaled(toParameters: limit)
      #expect(scaled.map { $0.parameterCount <= limit && Double($0.parameterCount) > 0.7 * Double(limit) } == true)
    }
    #expect(pattern.scaled(toParameters: 100) == nil)
  }
}
