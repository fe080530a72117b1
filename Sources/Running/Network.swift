import Basics
import Checkpoints
import Inference
import ModelGraph
import TensorCore

/// A checkpoint's network, ready to run on samples: the engine, with the batch cut into pieces that bound memory and keep
/// every worker busy.
package struct Network: Sendable {
  package let graph: ModelGraph
  let engine: Engine
  private let workers: Workers
  /// Where the network stops, for messages; nil where it is run as a whole.
  package let stop: String?

  /// - Throws: `Failure` where the checkpoint has no graph, or a layer of it cannot be run.
  package init(_ checkpoint: Checkpoint, workers: Workers) throws {
    (graph, engine) = try checkpoint.network()
    stop = nil
    self.workers = workers
  }

  /// The part of a checkpoint's network that can be run, which is all of it where it has no other layers.
  ///
  /// - Throws: `Failure` where the checkpoint has no graph, or no layer with a kernel comes before what is not run.
  package init(partOf checkpoint: Checkpoint, workers: Workers) throws {
    let part = checkpoint.graph?.runnablePart
    (graph, engine) = try checkpoint.network(part?.graph)
    stop = part?.stop
    self.workers = workers
  }

  /// Runs all samples.
  ///
  /// - Returns: one tensor for each output of the graph, in the layout of the output.
  /// - Throws: `Failure` where the count of samples does not fit the model, or the network cannot be run.
  package func run(_ samples: Samples, progress: ProgressHandler, task: String) throws -> [Tensor<Float>] {
    try check(samples)
    return try engine.outputs(
      count: samples.count, piece: pieceSize(samples, activations: Self.widestActivations), axes: samples.axes,
      workers: workers, finished: { progress(task, $0.upperBound, of: samples.count, "samples") },
      of: { range in samples.inputs(of: range) })
  }

  /// Runs all samples, and another network on the same ones, and gives what is measured of both. No more of the inputs and outputs is held
  /// than of the samples that run together.
  ///
  /// - Parameters:
  ///   - other: nil where the network runs alone.
  ///   - measure: takes a range of the samples and what the networks make of it. Called on any thread.
  /// - Returns: what was measured, in the order of the samples.
  /// - Throws: `Failure` where the count of samples does not fit the model, or a network cannot be run; what `measure` throws.
  package func measured<Result: Sendable>(
    _ samples: Samples, beside other: Network?, progress: ProgressHandler, task: String,
    _ measure: @escaping @Sendable (Range<Int>, [Tensor<Float>], [Tensor<Float>]?) throws -> Result
  ) throws -> [Result] {
    try check(samples)
    let pieces = [self, other].compactMap { $0?.pieceSize(samples, activations: Self.measuredActivations) }
    return try workers.mapPieces(
      of: samples.count, size: pieces.contains(samples.count) ? samples.count : pieces.min() ?? 1
    ) {
      range in
      let inputs = samples.inputs(of: range)
      let result = try measure(range, engine.run(inputs), other?.engine.run(inputs))
      progress(task, range.upperBound, of: samples.count, "samples")
      return result
    }
  }

  private func check(_ samples: Samples) throws {
    guard let batch = samples.axes?.batch, samples.count % batch != 0 else { return }
    throw Failure(
      "\(samples.count) samples", "cannot be run", "the model is made for \(batch) at a time",
      remedy: "give a multiple of \(batch), with --max-samples say")
  }

  /// The elements of the widest activations of the samples that run together, for each worker: 64 MB.
  private static let widestActivations = 16 << 20
  /// The same where two networks run beside each other and their weights and files are held too: 16 MB.
  private static let measuredActivations = 4 << 20

  /// Whether samples come out alike, some of them run together and two of these alone. Shapes do not show whether operations with NumPy's
  /// semantics mix what lies along an axis; a network of layers has its batch by definition.
  private func keepsApart(_ samples: Samples) -> Bool {
    guard graph.mayMixSamples, let axes = samples.axes else { return true }
    let last = samples.count - 1
    let indices = [0, last / 3, 2 * last / 3, last].reduce(into: [Int]()) { if $0.last != $1 { $0.append($1) } }
    func outputs(_ indices: [Int]) -> [Tensor<Float>]? { try? engine.run(samples.inputs(picking: indices, axes)) }
    guard let together = outputs(indices) else { return false }
    return [0, indices.count - 1].allSatisfy { place in
      guard let alone = outputs([indices[place]]) else { return false }
      return zip(graph.outputs, zip(together, alone)).allSatisfy { output, values in
        guard let axis = axes.axis(of: output.value), axis < values.0.order, values.0.shape[axis] == indices.count
        else { return false }
        return values.0.samples(place..<place + 1, axis: axis).isAlike(values.1)
      }
    }
  }

  /// The samples that run together: at least one piece for every worker, and no wider activations than stated.
  private func pieceSize(_ samples: Samples, activations: Int) -> Int {
    guard let axes = samples.axes else { return samples.count }
    if let batch = axes.batch { return batch }
    let perSample = max(1, (try? graph.peakActivationCount()) ?? 1 << 18)
    let fitting = max(1, activations / perSample)
    let piece = max(1, min(fitting, (samples.count + workers.count - 1) / workers.count, 64))
    return piece == samples.count || keepsApart(samples) ? piece : samples.count
  }
}

extension Tensor where Scalar == Float {
  /// Whether another run gave the same but for rounding.
  fileprivate func isAlike(_ other: Tensor) -> Bool {
    guard shape == other.shape else { return false }
    guard isFinite, other.isFinite else { return zip(elements, other.elements).allSatisfy { $0.isNaN == $1.isNaN } }
    return relativeDiscrepancy(from: other) <= 1e-3
  }
}
