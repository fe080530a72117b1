import Basics
import Inference
import ModelGraph
import TensorCore

/// The samples that are held out: what a network comes to on them decides which state is kept.
struct TuneJudge: Sendable {
  let graph: ModelGraph
  let inputs: [String: Tensor<Float>]
  /// Of the original.
  let expected: [Tensor<Float>]?
  /// What labels or targets ask of the first output.
  let targets: Tensor<Float>?
  let loss: TuneLoss
  /// Samples whose accuracy is told.
  let test: Samples?
  let workers: Workers

  /// - Parameters:
  ///   - trainingLoss: of the epoch that ended.
  func epoch(_ number: Int, _ weights: TrainedWeights, trainingLoss: Double?) throws -> TuneEpoch {
    let engine = try Engine(graph) { try weights[$0] }
    let outputs = try run(engine, inputs)
    let count = max(1, inputs.values.first?.shape[0] ?? 1)
    let accuracy = try test.flatMap { samples in
      try samples.labels.flatMap { try run(engine, samples.inputs).first?.accuracy(labels: $0) }
    }
    return TuneEpoch(
      number: number, seconds: 0, loss: trainingLoss,
      heldOutLoss: loss(outputs, original: expected, targets: targets).loss / Double(count),
      agreement: expected.flatMap { Self.agreement(outputs.first, $0.first) },
      heldOutAccuracy: targets.flatMap { Self.agreement(outputs.first, $0) }, testAccuracy: accuracy)
  }

  private static func agreement(_ output: Tensor<Float>?, _ other: Tensor<Float>?) -> Double? {
    guard let ours = output?.topOne, let theirs = other?.topOne else { return nil }
    return Double(zip(ours, theirs).count { $0 == $1 && $0 >= 0 }) / Double(max(1, ours.count))
  }

  /// All samples, in pieces.
  func run(_ engine: Engine, _ inputs: [String: Tensor<Float>]) throws -> [Tensor<Float>] {
    try engine.outputs(of: inputs, piece: Tuning.slice(of: graph), workers: workers)
  }
}

extension Engine {
  /// Runs samples piece by piece.
  func outputs(of inputs: [String: Tensor<Float>], piece: Int, workers: Workers) throws -> [Tensor<Float>] {
    try outputs(count: inputs.values.first?.shape[0] ?? 0, piece: piece, workers: workers) { range in
      inputs.mapValues { $0.samples(range) }
    }
  }

  /// Runs samples piece by piece, each made when its turn comes.
  func outputs(
    count: Int, piece: Int, workers: Workers,
    of samples: @escaping @Sendable (Range<Int>) throws -> [String: Tensor<Float>]
  ) throws -> [Tensor<Float>] {
    let pieces = try workers.map(Array(stride(from: 0, to: count, by: piece))) { start in
      try run(try samples(start..<min(start + piece, count)))
    }
    return graph.outputs.indices.map { output in Tensor(concatenatingSamples: pieces.map { $0[output] }) }
  }
}
