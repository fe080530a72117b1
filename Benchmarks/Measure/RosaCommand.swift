import ArgumentParser
import Basics
import LinearAlgebra
import TensorCore
import Training

/// ROSA's synthetic experiment: a linear map is adapted to one that differs from it by a matrix of a rank that LoRA cannot reach.
struct RosaCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "rosa")

  @Option var ranks: String = "1,2,4,8,16"
  @Option var seeds = 3
  @Option var epochs = 200

  func run() throws {
    var rows: [JSON] = []
    for seed in 0..<seeds {
      let task = AdaptationTask(seed: UInt64(seed))
      rows.append(try row("full", 0, seed, task.run(.full, rank: 0, epochs: epochs)))
      for rank in ranks.split(separator: ",").compactMap({ Int($0) }) {
        for method in [AdaptationTask.Method.lora, .rosa] {
          rows.append(try row("\(method)", rank, seed, task.run(method, rank: rank, epochs: epochs)))
        }
      }
    }
    print(JSON.array(rows).text(.indented))
  }

  private func row(_ method: String, _ rank: Int, _ seed: Int, _ outcome: AdaptationTask.Outcome) -> JSON {
    [
      "method": .string(method), "rank": .integer(rank), "seed": .integer(seed), "error": .real(outcome.error),
      "change_ranks": .integers(outcome.changeRanks), "seconds": .real(outcome.seconds),
    ]
  }
}

/// x ~ N(0, I), a map W0 and a target W0 + P Q with P and Q ~ N(0, 1) (the experiment of ROSA's published code).
struct AdaptationTask {
  enum Method { case full, lora, rosa }

  struct Outcome {
    /// The mean squared error of a number of the output, on samples that were not learned from.
    let error: Double
    /// The rank of W - W0 before the second draw, before the third, and so on: at most 2 R, 4 R, ...
    let changeRanks: [Int]
    let seconds: Double
  }

  private static let (inputs, outputs, trueRank) = (512, 32, 24)
  private static let (learned, judged, batch) = (5000, 1000, 64)
  private static let rate: Float = 1e-3

  private let seed: UInt64
  private let start: Tensor<Float>
  private let change: Tensor<Float>
  private let samples: Tensor<Float>
  private let judges: Tensor<Float>

  init(seed: UInt64) {
    self.seed = seed
    var generator = SplitMix64(seed: seed)
    start = Tensor(gaussian: [Self.outputs, Self.inputs], using: &generator)
    change = Tensor(gaussian: [Self.outputs, Self.trueRank], using: &generator)
      .times(Tensor(gaussian: [Self.trueRank, Self.inputs], using: &generator))
    samples = Tensor(gaussian: [Self.learned, Self.inputs], using: &generator)
    judges = Tensor(gaussian: [Self.judged, Self.inputs], using: &generator)
  }

  func run(_ method: Method, rank: Int, epochs: Int) throws -> Outcome {
    var outcome = (error: 0.0, ranks: [Int]())
    let seconds = try seconds { outcome = try train(method, rank: rank, epochs: epochs) }
    return Outcome(error: outcome.error, changeRanks: outcome.ranks, seconds: seconds)
  }

  private func train(_ method: Method, rank: Int, epochs: Int) throws -> (error: Double, ranks: [Int]) {
    var generator = SplitMix64(seed: seed &+ 1)
    // A rate of decay as AdamW has it in PyTorch.
    var optimizer = Optimizer(.adamW, decay: 0.01)
    var frozen = start
    var parameters: [String: Tensor<Float>] = ["w": start]
    if method != .full {
      let factors = LowRankFactors(zeroFor: start.shape, rank: rank, using: &generator)
      parameters = ["a": factors.a, "b": factors.b]
    }
    func weight() -> Tensor<Float> {
      parameters["w"] ?? factors(parameters).merged(into: frozen)
    }
    var ranks: [Int] = []
    let period = max(1, epochs / Self.trueRank)
    for epoch in 0..<epochs {
      if method == .rosa, epoch % period == 0 {
        if epoch > 0, ranks.count < 3 { ranks.append(try rankOfChange(weight())) }
        let (rest, factors) = try LowRankFactors.split(weight(), rank: rank, .subset, using: &generator)
        frozen = rest
        parameters = ["a": factors.a, "b": factors.b]
        optimizer.forget(["a", "b"])
      }
      let order = generator.permutation(of: Self.learned)
      for first in stride(from: 0, to: Self.learned, by: Self.batch) {
        let x = samples.rows(order[first..<min(first + Self.batch, Self.learned)])
        let difference = x.times(weight().subtracting(start).subtracting(change), otherTransposed: true)
        let slope = difference.map { 2 * $0 / Float(difference.count) }.times(x, transposed: true)
        if method == .full {
          optimizer.step(&parameters, ["w": slope], rate: Self.rate)
        } else {
          let (a, b) = factors(parameters).gradients(slope)
          optimizer.step(&parameters, ["a": a, "b": b], rate: Self.rate)
        }
      }
    }
    let rest = judges.times(weight().subtracting(start).subtracting(change), otherTransposed: true)
    return (rest.squaredNorm / Double(rest.count), ranks)
  }

  private func factors(_ parameters: [String: Tensor<Float>]) -> LowRankFactors {
    LowRankFactors(a: parameters["a"] ?? Tensor(zeros: [0, 0]), b: parameters["b"] ?? Tensor(zeros: [0, 0]))
  }

  /// Singular values above what rounding of the weights leaves.
  private func rankOfChange(_ weight: Tensor<Float>) throws -> Int {
    let values = try SingularValueDecomposition(weight.subtracting(start).converted(to: Double.self)).values
    let rounding =
      0x1p-23 * Double(max(Self.inputs, Self.outputs)) * (weight.elements.map { Double(abs($0)) }.max() ?? 0)
    return values.count { $0 > rounding }
  }
}

extension Tensor where Scalar == Float {
  fileprivate func rows(_ indices: ArraySlice<Int>) -> Tensor {
    let width = shape[1]
    return Tensor(
      shape: [indices.count, width], elements: indices.flatMap { elements[$0 * width..<($0 + 1) * width] })
  }
}
