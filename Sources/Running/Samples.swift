import Basics
import Foundation
import ModelGraph
import TensorCore

/// Samples for a network: its inputs and whatever there is to compare its outputs with.
package struct Samples: Sendable {
  /// The random samples on which apply measures a network and verify repeats the measurement.
  package static let usualRandomCount = 16

  /// One tensor for each input of the graph, samples first.
  package var inputs: [String: Tensor<Float>]
  /// What the network should give, in the order of the graph's outputs; nil where the file has none.
  package var outputs: [Tensor<Float>]?
  /// Class indices; give the accuracy.
  package var labels: [Int]?
  /// What a regression network should give; gives the PSNR.
  package var targets: Tensor<Float>?
  /// Where the samples come from, for messages.
  package let source: String

  package var count: Int { inputs.values.first?.shape.first ?? 0 }
}

extension Samples {
  /// Reads a data file for a graph.
  ///
  /// - Throws: `Failure` naming the array and both shapes where one does not fit.
  package init(file path: String, for graph: ModelGraph, _ preparation: SamplePreparation) throws {
    let file = try SampleFile(path, for: graph, preparation)
    self.init(
      inputs: try file.inputs.samples(0..<file.count), outputs: file.outputs, labels: try file.labels,
      targets: file.targets,
      source: path)
  }

  /// Seeded uniform inputs of [0, 1), a few more than `count` where the model takes some at a time.
  ///
  /// - Parameter sampleShape: of one sample, where the model leaves extents open.
  /// - Throws: `Failure` where the model leaves extents open that nobody states.
  package init(seed: UInt64, count wanted: Int, for graph: ModelGraph, sampleShape: [Int] = []) throws {
    let batch = graph.fixedBatch ?? 1
    let count = (wanted + batch - 1) / batch * batch
    var generator = SplitMix64(seed: seed)
    var inputs: [String: Tensor<Float>] = [:]
    for input in graph.inputs {
      var extents = Array(input.shape.dropFirst())
      if extents.contains(nil), extents.count == sampleShape.count {
        extents = zip(extents, sampleShape).map { $0 ?? $1 }
      }
      guard !input.rankIsOpen, extents.allSatisfy({ $0 != nil }) else {
        throw Failure(
          "input '\(input.name)'", "cannot be filled with random samples",
          "the model leaves its shape \(input.rankIsOpen ? "" : input.shape.text + " ")open",
          remedy: "give samples with --reference, or bench a shape with --input-shape")
      }
      let shape = [count] + extents.compactMap { $0 }
      inputs[input.name] = Tensor(
        shape: shape, elements: (0..<shape.reduce(1, *)).map { _ in Float(generator.nextUniform()) })
    }
    self.init(inputs: inputs, source: "\(count) seeded random inputs (seed \(seed))")
  }
}
