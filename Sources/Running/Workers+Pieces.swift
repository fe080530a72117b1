import Inference
import TensorCore

/// Batches that are cut into pieces, each on one thread.
extension Workers {
  /// Applies `transform` to ranges of at most `size` that make up 0..<count; the results keep their order.
  ///
  /// - Throws: the error of the first range that failed.
  package func mapPieces<Result: Sendable>(
    of count: Int, size: Int, _ transform: @escaping @Sendable (Range<Int>) throws -> Result
  ) throws -> [Result] {
    try map(Array(stride(from: 0, to: count, by: size))) { try transform($0..<min($0 + size, count)) }
  }
}

extension Engine {
  /// Runs samples piece by piece.
  ///
  /// - Parameters:
  ///   - inputs: one tensor for each input of the graph, samples first.
  ///   - piece: the samples that run together.
  /// - Returns: one tensor for each output of the graph, samples first.
  /// - Throws: `Failure` where an operation meets what it cannot compute.
  package func outputs(
    of inputs: [String: Tensor<Float>], piece: Int, workers: Workers
  ) throws -> [Tensor<Float>] {
    try outputs(count: inputs.values.first?.shape[0] ?? 0, piece: piece, workers: workers) { range in
      inputs.mapValues { $0.samples(range) }
    }
  }

  /// Runs samples piece by piece, each piece made when its turn comes.
  ///
  /// - Parameters:
  ///   - samples: makes the inputs of a range of samples.
  ///   - finished: is told of every range that is done, from any thread.
  /// - Returns: one tensor for each output of the graph, samples first.
  /// - Throws: `Failure` where an operation meets what it cannot compute, or what `samples` throws.
  package func outputs(
    count: Int, piece: Int, workers: Workers, finished: @escaping @Sendable (Range<Int>) -> Void = { _ in },
    of samples: @escaping @Sendable (Range<Int>) throws -> [String: Tensor<Float>]
  ) throws -> [Tensor<Float>] {
    let pieces = try workers.mapPieces(of: count, size: piece) { range in
      let outputs = try run(try samples(range))
      finished(range)
      return outputs
    }
    return graph.outputs.indices.map { output in Tensor(concatenatingSamples: pieces.map { $0[output] }) }
  }
}
