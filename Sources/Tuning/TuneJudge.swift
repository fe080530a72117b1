import Basics
import Inference
import ModelGraph
import Running
import TensorCore

/// The samples that are held out: what a network comes to on them decides which state is kept.
struct TuneJudge: Sendable {
  let graph: ModelGraph
  let inputs: [String: Tensor<Float>]
  /// The outputs of the original; nil where there is none.
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
    let count = max(1, inputs.values.first.required("a network has inputs").shape[0])
    let accuracy = try test.flatMap { samples in
      try samples.labels.flatMap { try run(engine, samples.inputs).first?.accuracy(labels: $0) }
    }
    return TuneEpoch(
      number: number, seconds: 0, loss: trainingLoss,
      heldOutLoss: loss(outputs, original: expected, targets: targets).loss / Double(count),
      agreement: expected.flatMap { $0.first }.flatMap { outputs.first?.agreement(with: $0) },
      heldOutAccuracy: targets.flatMap { outputs.first?.agreement(with: $0) }, testAccuracy: accuracy)
  }

  /// All samples, in pieces.
  func run(_ engine: Engine, _ inputs: [String: Tensor<Float>]) throws -> [Tensor<Float>] {
    try engine.outputs(of: inputs, piece: Tuning.slice(of: graph), workers: workers)
  }
}
