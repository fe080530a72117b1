import Basics
import Inference
import ModelGraph
import TensorCore

/// A network on more samples than run together.
extension Engine {
  /// Runs samples piece by piece.
  ///
  /// - Parameters:
  ///   - inputs: one tensor for each input of the graph, samples first.
  ///   - piece: the samples that run together.
  /// - Returns: one tensor for each output of the graph, samples first.
  /// - Throws: `Failure` where an operation meets what it cannot compute.
  /// - Precondition: every input and output has its samples on the first axis.
  package func outputs(
    of inputs: [String: Tensor<Float>], piece: Int, workers: Workers
  ) throws -> [Tensor<Float>] {
    try outputs(count: inputs.values.first?.shape.first ?? 0, piece: piece, axes: nil, workers: workers) { range in
      inputs.mapValues { $0.samples(range) }
    }
  }

  /// Runs samples piece by piece, each piece made when its turn comes.
  ///
  /// - Parameters:
  ///   - piece: the samples that run together; all of them where an output has none.
  ///   - axes: where the outputs have their samples; nil stands for their first axis.
  ///   - samples: makes the inputs of a range of samples.
  ///   - finished: is told of every range that is done, from any thread.
  /// - Returns: one tensor for each output of the graph, in the layout of the output.
  /// - Throws: `Failure` where an operation meets what it cannot compute, or what `samples` throws.
  package func outputs(
    count: Int, piece: Int, axes: SampleAxes? = nil, workers: Workers,
    finished: @escaping @Sendable (Range<Int>) -> Void = { _ in },
    of samples: @escaping @Sendable (Range<Int>) throws -> [String: Tensor<Float>]
  ) throws -> [Tensor<Float>] {
    let pieces = try workers.mapPieces(of: count, size: piece) { range in
      let outputs = try run(try samples(range))
      finished(range)
      return outputs
    }
    return try graph.outputs.enumerated().map { place, output in
      let parts = pieces.map { $0[place] }
      let axis = axes?.axis(of: output.value) ?? 0
      try output.checkJoining(parts.map(\.shape), axis: axis)
      return Tensor(concatenatingSamples: parts, axis: axis)
    }
  }
}

extension ModelGraph.Output {
  /// Refuses parts of the output that do not make up a whole.
  ///
  /// - Parameters:
  ///   - shapes: of what several runs gave.
  ///   - axis: where the samples are.
  /// - Throws: `Failure` where the shapes differ by more than the count of samples.
  package func checkJoining(_ shapes: [[Int]], axis: Int) throws {
    // What a value decides need not come out alike in every run: the number of boxes, say.
    let rests = Set(shapes.map { axis < $0.count ? $0[..<axis] + $0[(axis + 1)...] : [] })
    guard shapes.count > 1, !shapes.allSatisfy({ axis < $0.count }) || rests.count > 1 else { return }
    throw Failure(
      "output '\(name)'", "cannot be joined over the samples",
      "its shape is \(shapes[0]) in one run and \(shapes[shapes.count - 1]) in another", remedy: "give one sample")
  }
}
