import Basics
import Checkpoints
import Foundation
import ModelGraph
import TensorCore

/// How the arrays of a data file become inputs of the network.
public struct SamplePreparation: Sendable, Equatable {
  /// Multiplied first, 1/255 say; nil leaves the values.
  public var scale: Double?
  /// Subtracted then, one for each channel or one for all.
  public var mean: [Double]
  /// Divided by last, one for each channel or one for all.
  public var standardDeviation: [Double]
  /// The first samples only; nil takes all.
  public var maximumCount: Int?

  public init(
    scale: Double? = nil, mean: [Double] = [], standardDeviation: [Double] = [],
    maximumCount: Int? = nil
  ) {
    self.scale = scale
    self.mean = mean
    self.standardDeviation = standardDeviation
    self.maximumCount = maximumCount
  }
}

/// Samples for a network: its inputs and whatever there is to compare its outputs with.
struct Samples: Sendable {
  /// One tensor for each input of the graph, samples first.
  var inputs: [String: Tensor<Float>]
  /// What the network should give, in the order of the graph's outputs; nil where the file has none.
  var outputs: [Tensor<Float>]?
  /// Class indices; give the accuracy.
  var labels: [Int]?
  /// What a regression network should give; gives the PSNR.
  var targets: Tensor<Float>?
  /// Where the samples come from, for messages.
  let source: String

  var count: Int { inputs.values.first?.shape.first ?? 0 }
}

extension Samples {
  /// Reads a data file for a graph.
  ///
  /// - Throws: `Failure` naming the array and both shapes where one does not fit.
  init(file path: String, for graph: ModelGraph, _ preparation: SamplePreparation) throws {
    let arrays = try DataFile.read(path)
    do {
      try self.init(arrays: arrays, source: path, for: graph, preparation)
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }

  /// Seeded uniform inputs of [0, 1), a few more than `count` where the model takes some at a time.
  ///
  /// - Parameter sampleShape: of one sample, where the model leaves extents open.
  init(seed: UInt64, count wanted: Int, for graph: ModelGraph, sampleShape: [Int] = []) throws {
    let batch = graph.fixedBatch ?? 1
    let count = (wanted + batch - 1) / batch * batch
    var generator = SplitMix64(seed: seed)
    var inputs: [String: Tensor<Float>] = [:]
    for input in graph.inputs {
      var extents = Array(input.shape.dropFirst())
      if extents.contains(nil), extents.count == sampleShape.count {
        extents = zip(extents, sampleShape).map { $0 ?? $1 }
      }
      guard extents.allSatisfy({ $0 != nil }) else {
        throw Failure(
          "input '\(input.name)'", "cannot be filled with random samples",
          "the model leaves its shape \(ModelGraph.text(input.shape)) open",
          remedy: "give samples with --reference, or bench a shape with --input-shape")
      }
      let shape = [count] + extents.compactMap { $0 }
      inputs[input.name] = Tensor(
        shape: shape, elements: (0..<shape.reduce(1, *)).map { _ in Float(generator.nextUniform()) })
    }
    self.init(inputs: inputs, source: "\(count) seeded random inputs (seed \(seed))")
  }

  private init(
    arrays: [StoredTensor], source: String, for graph: ModelGraph, _ preparation: SamplePreparation
  ) throws {
    self.source = source
    inputs = [:]
    for (position, input) in graph.inputs.enumerated() {
      let names = [input.name, "inputs_\(position)"] + (graph.inputs.count == 1 ? ["inputs"] : [])
      guard let array = names.lazy.compactMap({ name in arrays.first { $0.name == name } }).first else {
        throw Failure(
          "input '\(input.name)'", "has no samples",
          "the file holds only \(arrays.map { "'\($0.name)'" }.sorted().joined(separator: ", "))",
          remedy: "name the array '\(graph.inputs.count == 1 ? "inputs" : input.name)'")
      }
      let limited = array.firstSamples(preparation.maximumCount)
      let arranged = try Self.arrange(try limited.decoded(), as: input, arrayName: array.name)
      inputs[input.name] = try preparation.apply(to: arranged, arrayName: array.name)
    }
    let count = inputs.values.first?.shape.first ?? 0
    for (name, tensor) in inputs where tensor.shape.first != count {
      throw Failure(
        "input '\(name)'", "has \(tensor.shape[0]) samples", "another input has \(count)",
        remedy: "give every input the same number of samples")
    }
    guard count > 0 else {
      throw Failure("", "holds no samples", "its inputs are empty", remedy: "give at least one sample")
    }
    outputs = try Self.outputs(arrays, graph: graph, count: count, isCut: preparation.maximumCount != nil)
    labels = try Self.labels(arrays, count: count)
    targets = try arrays.first { $0.name == "targets" }?.firstSamples(count).decoded()
  }

  private static func outputs(
    _ arrays: [StoredTensor], graph: ModelGraph, count: Int, isCut: Bool
  ) throws -> [Tensor<Float>]? {
    var outputs: [Tensor<Float>] = []
    for (position, output) in graph.outputs.enumerated() {
      let names =
        ["outputs_\(position)", output.name] + (graph.outputs.count == 1 ? ["outputs"] : [])
      guard let array = names.lazy.compactMap({ name in arrays.first { $0.name == name } }).first else {
        guard outputs.isEmpty else {
          throw Failure(
            "output '\(output.name)'", "has no reference", "the file has it for other outputs",
            remedy: "name the array 'outputs_\(position)'")
        }
        return nil
      }
      guard array.shape.first ?? 0 >= count || !graph.keepsSamplesApart else {
        throw Failure(
          "array '\(array.name)'", "has \(array.shape.first ?? 0) samples", "there are \(count) inputs")
      }
      // Without a limit the output is compared as it is: not every network's output counts samples on its first axis.
      outputs.append(try (isCut ? array.firstSamples(count) : array).decoded())
    }
    return outputs
  }

  private static func labels(_ arrays: [StoredTensor], count: Int) throws -> [Int]? {
    guard let array = arrays.first(where: { $0.name == "labels" }) else { return nil }
    let values: Tensor<Double> = try array.firstSamples(count).decoded()
    guard values.count == count else {
      throw Failure(
        "array 'labels'", "has \(values.count) entries", "there are \(count) inputs",
        remedy: "give one class index for each sample")
    }
    return try values.elements.map { value in
      guard let label = Int(exactly: value), label >= 0 else {
        throw Failure("array 'labels'", "holds \(value)", "a label is a class index from 0")
      }
      return label
    }
  }

  /// Brings an array into the input's shape: as it is, with a missing singleton axis put in, or, for an image batch in the
  /// other layout, transposed. An image batch that fits in both layouts is refused rather than guessed.
  private static func arrange(
    _ array: Tensor<Float>, as input: ModelGraph.Input, arrayName: String
  ) throws -> Tensor<Float> {
    func fits(_ shape: [Int]) -> Bool {
      shape.count == input.shape.count
        && zip(shape, input.shape).dropFirst().allSatisfy { $1 == nil || $0 == $1 }
    }
    let isImageBatch = array.order == 4
    let transpositions = isImageBatch ? [[0, 3, 1, 2], [0, 2, 3, 1]] : []
    let transposed = transpositions.filter { order in fits(order.map { array.shape[$0] }) }
    let readings = (fits(array.shape) ? 1 : 0) + transposed.count
    guard readings <= 1 || Set(array.shape.dropFirst()).count == 1 && array.count == array.shape[0] else {
      throw Failure(
        "array '\(arrayName)'", "can be read in two ways",
        "its shape \(ModelGraph.text(array.shape)) fits \(ModelGraph.text(input.shape)) as NHWC and as NCHW",
        remedy: "give images whose height, width and channels differ")
    }
    if fits(array.shape) { return array }
    if let order = transposed.first { return array.permuted(order) }
    let full = [array.shape.first ?? 0] + input.shape.dropFirst().map { $0 ?? 0 }
    if array.order == input.shape.count - 1, full.filter({ $0 != 1 }) == array.shape.filter({ $0 != 1 }) {
      return array.reshaped(full)
    }
    throw Failure(
      "array '\(arrayName)'", "does not fit input '\(input.name)'",
      "its shape is \(ModelGraph.text(array.shape)), the input's is \(ModelGraph.text(input.shape))",
      remedy: "give samples of the input's shape")
  }
}

extension SamplePreparation {
  /// Scale, mean and deviation along the axis whose extent is the number of values: the last one, else the second.
  func apply(to array: Tensor<Float>, arrayName: String) throws -> Tensor<Float> {
    var elements = array.elements
    if let scale { for i in elements.indices { elements[i] *= Float(scale) } }
    for (values, name) in [(mean, "--input-mean"), (standardDeviation, "--input-std")] where !values.isEmpty {
      let isMean = name == "--input-mean"
      let axes = [array.order - 1, 1].filter { $0 > 0 && array.shape[$0] == values.count }
      guard values.count == 1 || !axes.isEmpty else {
        throw Failure(
          name, "has \(values.count) values", "array '\(arrayName)' has the shape \(ModelGraph.text(array.shape))",
          remedy: "give one value, or one for each channel")
      }
      let axis = values.count == 1 ? 0 : axes[0]
      let inner = array.shape.dropFirst(axis + 1).reduce(1, *)
      for i in elements.indices {
        let value = Float(values.count == 1 ? values[0] : values[i / inner % values.count])
        if isMean { elements[i] -= value } else { elements[i] /= value }
      }
    }
    return Tensor(shape: array.shape, elements: elements)
  }
}

extension StoredTensor {
  /// The same tensor with at most `count` samples.
  func firstSamples(_ count: Int?) -> StoredTensor {
    guard let count, let samples = shape.first, samples > count else { return self }
    let size = bytes.count / samples
    return StoredTensor(
      name: name, dtype: dtype, shape: [count] + shape.dropFirst(), bytes: Array(bytes[..<(count * size)]))
  }
}

extension ModelGraph {
  /// A shape for messages: `[?, 32, 32, 3]`.
  static func text(_ shape: [Int?]) -> String {
    "[" + shape.map { $0.map(String.init) ?? "?" }.joined(separator: ", ") + "]"
  }
}
