import Basics
import Foundation
import TensorCore
import Testing
import Training

@Suite struct OptimizerTests {
  private typealias Arrays = [String: Tensor<Float>]

  /// Three steps by hand, in double precision, from the formulas of PyTorch's documentation.
  @Test func nesterovIsTheFormula() {
    var optimizer = Optimizer(.nesterov, decay: 0.1)
    var parameters: Arrays = ["w": Tensor(shape: [1], elements: [2])]
    var (w, v) = (2.0, 0.0)
    for gradient in [1.0, -0.5, 0.25] {
      optimizer.step(&parameters, ["w": Tensor(shape: [1], elements: [Float(gradient)])], rate: 0.1)
      let slope = gradient + 0.1 * w
      v = 0.9 * v + slope
      w -= 0.1 * (slope + 0.9 * v)
      #expect(abs(Double(parameters["w"]?.elements[0] ?? .nan) - w) <= 1e-6)
    }
  }

  @Test func adamWIsTheFormula() {
    var optimizer = Optimizer(.adamW, decay: 0.1, undecayed: ["b"])
    var parameters: Arrays = ["w": Tensor(shape: [1], elements: [2]), "b": Tensor(shape: [1], elements: [2])]
    var (w, b, m, s) = (2.0, 2.0, 0.0, 0.0)
    for (step, gradient) in [1.0, -0.5, 0.25].enumerated() {
      let slope = Tensor<Float>(shape: [1], elements: [Float(gradient)])
      optimizer.step(&parameters, ["w": slope, "b": slope], rate: 0.1)
      m = 0.9 * m + 0.1 * gradient
      s = 0.999 * s + 0.001 * gradient * gradient
      let (mean, square) = (m / (1 - pow(0.9, Double(step + 1))), s / (1 - pow(0.999, Double(step + 1))))
      w = w * (1 - 0.1 * 0.1) - 0.1 * mean / (square.squareRoot() + 1e-8)
      b -= 0.1 * mean / (square.squareRoot() + 1e-8)
      // 1 - 0.999 is rounded in single precision to a few parts in 1e5, and under a root.
      #expect(abs(Double(parameters["w"]?.elements[0] ?? .nan) - w) <= 1e-5)
      #expect(abs(Double(parameters["b"]?.elements[0] ?? .nan) - b) <= 1e-5)
    }
  }

  @Test(arguments: [Optimizer.Rule.nesterov, .adamW, .descent(momentum: 0, nesterov: false)])
  func goesOnFromItsStore(_ rule: Optimizer.Rule) throws {
    var generator = SplitMix64(seed: 5)
    func gradients() -> Arrays {
      ["a": Tensor(gaussian: [3, 2], using: &generator), "b": Tensor(gaussian: [4], using: &generator)]
    }
    var one = Optimizer(rule, decay: 0.01)
    var parameters = gradients()
    one.step(&parameters, gradients(), rate: 0.1)
    var other = Optimizer(rule, decay: 0.01)
    try other.restore(one.stored, for: parameters)
    #expect(one == other)
    var copies = parameters
    let next = gradients()
    one.step(&parameters, next, rate: 0.05)
    other.step(&copies, next, rate: 0.05)
    #expect(copies == parameters)
  }

  @Test func damagedStoresAreRefused() throws {
    var optimizer = Optimizer(.adamW)
    var parameters: Arrays = ["w": Tensor(zeros: [2])]
    optimizer.step(&parameters, ["w": Tensor(zeros: [2])], rate: 1)
    let stored = optimizer.stored
    #expect(throws: Failure.self) { try optimizer.restore(stored.dropLast(), for: parameters) }
    #expect(throws: Failure.self) { try optimizer.restore(stored, for: ["w": Tensor(zeros: [3])]) }
  }

  @Test func forgettingBeginsAnew() {
    let gradient: Arrays = ["w": Tensor(shape: [1], elements: [1])]
    var parameters: Arrays = ["w": Tensor(zeros: [1])]
    var used = Optimizer(.adamW)
    used.step(&parameters, gradient, rate: 1)
    used.forget(["w"])
    #expect(used == Optimizer(.adamW))
  }

  @Test func clippingKeepsTheDirection() {
    let gradients: Arrays = ["a": Tensor(shape: [1], elements: [3]), "b": Tensor(shape: [1], elements: [4])]
    let clipped = gradients.clipped(to: 1)
    #expect(abs(clipped.jointNorm - 1) <= 1e-6)
    #expect(abs((clipped["a"]?.elements[0] ?? .nan) - 0.6) <= 1e-6)
    #expect(gradients.clipped(to: 5) == gradients)
  }

  @Test func schedulesRiseAndFall() {
    let total = 100
    for rate in [LearningRate.cosine(warmUp: 0.1), .oneCycle(warmUp: 0.3)] {
      let factors = (0..<total).map { rate.factor($0, of: total) }
      #expect(factors.allSatisfy { $0 > 0 && $0 <= 1 })
      #expect(abs((factors.max() ?? 0) - 1) <= 1e-12)
      let top = factors.firstIndex(of: factors.max() ?? 0) ?? 0
      #expect(zip(factors[...top], factors[...top].dropFirst()).allSatisfy { $0 <= $1 })
      #expect(zip(factors[top...], factors[top...].dropFirst()).allSatisfy { $0 >= $1 })
      #expect((factors.last ?? 1) < 1e-3)
      #expect(rate.factor(0, of: 1) > 0)
    }
    // PyTorch's OneCycleLR with 100 steps: 1/25 at first, and 1e-4 of that at last.
    #expect(abs(LearningRate.oneCycle(warmUp: 0.3).factor(0, of: total) - 0.04) <= 1e-12)
    #expect(abs(LearningRate.oneCycle(warmUp: 0.3).factor(99, of: total) - 4e-6) <= 1e-12)
    #expect(LearningRate.constant.factor(50, of: total) == 1)
  }

  @Test func plateausHalve() {
    var plateau = PlateauHalving(patience: 1)
    for loss in [3.0, 2, 2.5] { plateau.observe(loss) }
    #expect(plateau.factor == 1)
    plateau.observe(.nan)
    #expect(plateau.factor == 0.5)
    #expect(plateau == PlateauHalving(patience: 1, factor: 0.5, best: 2, waited: 0))
  }
}
