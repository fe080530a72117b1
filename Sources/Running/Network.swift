import Basics
import Checkpoints
import Inference
import ModelGraph
import TensorCore

/// A checkpoint's network, ready to run on samples: the engine, with the batch cut into pieces that bound memory and keep
/// every worker busy.
package struct Network: Sendable {
  package let graph: ModelGraph
  private let engine: Engine
  private let workers: Workers

  /// - Throws: `Failure` where the checkpoint has no graph, or a layer of it cannot be run.
  package init(_ checkpoint: Checkpoint, workers: Workers) throws {
    (graph, engine) = try checkpoint.network()
    self.workers = workers
  }

  /// Runs all samples.
  ///
  /// - Parameter inputs: one tensor for each input of the graph, samples first.
  /// - Returns: one tensor for each output of the graph, samples first.
  /// - Throws: `Failure` where the count of samples does not fit the model, or the network cannot be run.
  package func run(_ inputs: [String: Tensor<Float>], progress: ProgressHandler, task: String) throws -> [Tensor<Float>]
  {
    let samples = inputs.values.first?.shape.first ?? 0
    if let batch = graph.fixedBatch, samples % batch != 0 {
      throw Failure(
        "\(samples) samples", "cannot be run", "the model is made for \(batch) at a time",
        remedy: "give a multiple of \(batch), with --max-samples say")
    }
    let piece = graph.fixedBatch ?? (graph.keepsSamplesApart ? pieceSize(samples: samples) : samples)
    return try engine.outputs(
      count: samples, piece: piece, workers: workers,
      finished: { progress(task, $0.upperBound, of: samples, "samples") },
      of: { range in inputs.mapValues { $0.samples(range) } })
  }

  /// The samples of one piece: at least one piece for every worker, and the widest activations stay around 64 MB a worker.
  private func pieceSize(samples: Int) -> Int {
    let perSample = max(1, (try? graph.peakActivationCount()) ?? 1 << 18)
    let fitting = max(1, (16 << 20) / perSample)
    return max(1, min(fitting, (samples + workers.count - 1) / workers.count, 64))
  }
}
