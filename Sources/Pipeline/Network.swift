import Basics
import Checkpoints
import Inference
import ModelGraph
import TensorCore

/// A checkpoint's network, ready to run on samples: the engine, with the batch cut into pieces that bound memory and keep
/// every worker busy.
struct Network: Sendable {
  let graph: ModelGraph
  private let engine: Engine
  private let workers: Workers

  /// - Throws: `Failure` where the checkpoint has no graph, or a layer of it cannot be run.
  init(_ checkpoint: Checkpoint, workers: Workers) throws {
    (graph, engine) = try checkpoint.network()
    self.workers = workers
  }

  /// Runs all samples.
  ///
  /// - Parameter inputs: one tensor for each input of the graph, samples first.
  /// - Returns: one tensor for each output of the graph, samples first.
  func run(_ inputs: [String: Tensor<Float>], progress: Progress, task: String) throws -> [Tensor<Float>] {
    let samples = inputs.values.first?.shape.first ?? 0
    if let batch = graph.fixedBatch, samples % batch != 0 {
      throw Failure(
        "\(samples) samples", "cannot be run", "the model is made for \(batch) at a time",
        remedy: "give a multiple of \(batch), with --max-samples say")
    }
    let piece = graph.fixedBatch ?? (graph.keepsSamplesApart ? pieceSize(samples: samples) : samples)
    let starts = Array(stride(from: 0, to: samples, by: piece))
    let pieces = try workers.map(starts) { start in
      let range = start..<min(start + piece, samples)
      let outputs = try engine.run(inputs.mapValues { $0.samples(range) })
      progress(task, range.upperBound, of: samples, "samples")
      return outputs
    }
    return graph.outputs.indices.map { output in
      Tensor(concatenatingSamples: pieces.map { $0[output] })
    }
  }

  /// At least one piece for every worker; small enough that the widest activations stay around 64 MB a worker.
  private func pieceSize(samples: Int) -> Int {
    let perSample = max(1, (try? graph.peakActivationCount()) ?? 1 << 18)
    let fitting = max(1, (16 << 20) / perSample)
    return max(1, min(fitting, (samples + workers.count - 1) / workers.count, 64))
  }
}

extension ModelGraph {
  /// Whether the first axis of every output counts the samples, so that a batch can be cut.
  var keepsSamplesApart: Bool {
    [2, 3].allSatisfy { batch in
      guard let shapes = try? shapes(batch: batch) else { return false }
      return outputs.allSatisfy { shapes[$0.value]?.first == batch }
    }
  }

  /// The count of samples that the model takes at a time, where it is stated.
  var fixedBatch: Int? { inputs.lazy.compactMap { $0.shape.first ?? nil }.first.flatMap { $0 > 0 ? $0 : nil } }
}

extension Checkpoint {
  /// - Throws: `Failure` where the checkpoint has no graph, or a layer of it cannot be run.
  func network() throws -> (graph: ModelGraph, engine: Engine) {
    guard let graph else {
      throw Failure(
        path, "cannot be run", graphAbsence ?? "it has no graph",
        remedy: "use a checkpoint that holds its architecture")
    }
    do {
      return (graph, try Engine(graph) { reference in try parameter(reference) })
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }

  /// A weight in the program's order.
  ///
  /// - Throws: `Failure` where the checkpoint has no such tensor or it cannot be read as numbers.
  func parameter<Scalar>(_ reference: TensorReference) throws -> Tensor<Scalar> {
    guard let stored = tensor(named: reference.name) else {
      throw Failure(path, "has no tensor '\(reference.name)'", "its graph refers to it")
    }
    return reference.read(try stored.decoded())
  }
}

extension Tensor {
  /// Some of the samples of a tensor whose first mode counts samples.
  func samples(_ range: Range<Int>) -> Tensor {
    let size = shape.dropFirst().reduce(1, *)
    return Tensor(
      shape: [range.count] + shape.dropFirst(),
      elements: Array(elements[range.lowerBound * size..<range.upperBound * size]))
  }

  /// The samples of all parts, one after another.
  init(concatenatingSamples parts: [Tensor]) {
    let rest = parts.first.map { Array($0.shape.dropFirst()) } ?? []
    self.init(
      shape: [parts.reduce(0) { $0 + $1.shape[0] }] + rest, elements: parts.flatMap(\.elements))
  }
}
