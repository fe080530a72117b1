import Basics
import Foundation
import ModelGraph
import TensorCore

/// Samples for a network: its inputs and whatever there is to compare its outputs with.
package struct Samples: Sendable {
  /// The random samples on which apply measures a network and verify repeats the measurement.
  package static let usualRandomCount = 16

  /// How the inputs are at hand.
  private enum Inputs: Sendable {
    case held([String: Tensor<Float>])
    case drawn(RandomInputs)
  }

  private var origin: Inputs
  /// How many there are; where the network runs on them as a whole, what the first axis of its first input has.
  package let count: Int
  /// Which axes count the samples; nil where the network runs on them as a whole.
  package let axes: SampleAxes?
  /// What the network should give, in the order and in the layout of the graph's outputs; nil where the file has none.
  package var outputs: [Tensor<Float>]?
  /// Class indices; give the accuracy.
  package var labels: [Int]?
  /// What a regression network should give; gives the PSNR.
  package var targets: Tensor<Float>?
  /// Where the samples come from, for messages.
  package let source: String
}

extension Samples {
  /// Reads a data file for a graph.
  ///
  /// - Throws: `Failure` naming the array and both shapes where one does not fit.
  package init(file path: String, for graph: ModelGraph, _ preparation: SamplePreparation) throws {
    let file = try SampleFile(path, for: graph, preparation)
    self.init(
      origin: .held(try file.inputs.samples(0..<file.count)), count: file.count, axes: file.inputs.axes,
      outputs: file.outputs, labels: try file.labels, targets: file.targets, source: path)
  }

  /// Seeded uniform inputs of [0, 1), a few more than `count` where the model takes some at a time.
  ///
  /// - Parameter sampleShape: of one sample, where the model leaves extents open.
  /// - Throws: `Failure` where the model leaves extents open that nobody states.
  package init(seed: UInt64, count wanted: Int, for graph: ModelGraph, sampleShape: [Int] = []) throws {
    let axes = graph.sampleAxes
    let batch = axes?.batch ?? 1
    let count = (wanted + batch - 1) / batch * batch
    var shapes: [(name: String, shape: [Int])] = []
    for input in graph.inputs {
      var extents = graph.shape(of: input, samples: count, axes)
      let others = extents.indices.filter { $0 != (axes.map { $0.axis(of: input.name) } ?? 0) }
      if extents.contains(nil), others.count == sampleShape.count {
        for (axis, extent) in zip(others, sampleShape) { extents[axis] = extents[axis] ?? extent }
      }
      guard !input.rankIsOpen, let shape = extents.known, shape.productIfExact != nil else {
        throw Failure(
          "input '\(input.name)'", "cannot be filled with random samples",
          "the model leaves its shape \(input.rankIsOpen ? "" : input.shape.text + " ")open",
          remedy: "give samples with --reference, or bench a shape with --input-shape")
      }
      shapes.append((input.name, shape))
    }
    let isWhole = axes == nil && !graph.inputs.contains { $0.shape.first == .some(nil) }
    self.init(
      origin: .drawn(RandomInputs(seed: seed, shapes: shapes)), count: isWhole ? 1 : count, axes: axes,
      source: isWhole ? "one seeded random input (seed \(seed))" : "\(count) seeded random inputs (seed \(seed))")
  }

  /// The inputs of some of the samples, with those that all samples share.
  ///
  /// - Precondition: the samples have axes, or the range is all of them.
  package func inputs(of range: Range<Int>) -> [String: Tensor<Float>] {
    switch origin {
    case .held(let inputs): inputs.samples(range, axes)
    case .drawn(let random): random.samples(range, axes)
    }
  }

  /// One tensor for each input of the graph, as the network takes it.
  package var inputs: [String: Tensor<Float>] {
    get {
      switch origin {
      case .held(let inputs): inputs
      case .drawn(let random): random.samples(0..<count, axes)
      }
    }
    set { origin = .held(newValue) }
  }

  /// The inputs of samples of these numbers, with those that all samples share.
  func inputs(picking indices: [Int], _ axes: SampleAxes) -> [String: Tensor<Float>] {
    switch origin {
    case .held(let inputs): return inputs.picked(indices, axes)
    case .drawn(let random):
      let samples = indices.map { random.samples($0..<$0 + 1, axes) }
      return samples[0].reduce(into: [:]) { result, input in
        let axis = axes.axis(of: input.key)
        result[input.key] =
          axis.map { Tensor(concatenatingSamples: samples.compactMap { $0[input.key] }, axis: $0) } ?? input.value
      }
    }
  }

  /// The last samples, at most `most`; all of them where the network runs on them as a whole.
  package func last(_ most: Int) -> Samples {
    guard axes != nil, count > most else { return self }
    let batch = axes?.batch ?? 1
    let range = count - max(1, most / batch) * batch..<count
    return Samples(
      origin: .held(inputs(of: range)), count: range.count, axes: axes,
      source: "\(range.count) samples of '\(source)'")
  }

  /// An output with its samples first, as measures of it take it.
  package func samplesFirst(_ output: Tensor<Float>, of value: String) -> Tensor<Float> {
    axes?.axis(of: value).map { $0 < output.order ? output.moved($0) : output } ?? output
  }
}

extension [String: Tensor<Float>] {
  /// Some samples of all values that have samples, and the others as they are.
  package func samples(_ range: Range<Int>, _ axes: SampleAxes?) -> [String: Tensor<Float>] {
    guard let axes else { return self }
    return Dictionary(
      uniqueKeysWithValues: map { name, tensor in
        (name, axes.axis(of: name).map { tensor.samples(range, axis: $0) } ?? tensor)
      })
  }

  /// Samples of these numbers, of all values that have samples, and the other values as they are.
  func picked(_ indices: [Int], _ axes: SampleAxes) -> [String: Tensor<Float>] {
    Dictionary(
      uniqueKeysWithValues: map { name, tensor in
        (name, axes.axis(of: name).map { tensor.picked(indices, axis: $0) } ?? tensor)
      })
  }
}
