import Basics
import Checkpoints
import Inference
import ModelGraph
import Running
import TensorCore

/// The weights of a network that is being changed layer by layer.
struct NetworkWeights: Sendable {
  private let tensors: [TensorReference: Tensor<Float>]
  /// Tensors that take the place of the checkpoint's, by its tensor's name and in its order: a graph may read one tensor in several ways.
  private var changed: [String: Tensor<Float>] = [:]
  private let storedShapes: [String: [Int]]

  /// - Throws: `Failure` where the checkpoint lacks one of its graph's tensors.
  init(_ checkpoint: Checkpoint, _ graph: ModelGraph) throws {
    var tensors: [TensorReference: Tensor<Float>] = [:]
    for reference in graph.nodes.flatMap(\.operation.references) where tensors[reference] == nil {
      tensors[reference] = try checkpoint.parameter(reference)
    }
    self.tensors = tensors
    storedShapes = Dictionary(checkpoint.tensors.map { ($0.name, $0.shape) }) { first, _ in first }
  }

  /// The weights with another kernel (out, in, spatial...) for a layer.
  func replacing(_ layer: Layer, by kernel: Tensor<Double>) -> NetworkWeights {
    replacing(layer.kernel, by: kernel)
  }

  /// The weights with other values for a tensor, in the program's order.
  func replacing(_ reference: TensorReference, by tensor: Tensor<Double>) -> NetworkWeights {
    var result = self
    let shape = storedShapes[reference.name].required("what is replaced is a tensor of the checkpoint")
    result.changed[reference.name] = reference.write(tensor.converted(to: Float.self), shape: shape)
    return result
  }

  subscript(reference: TensorReference) -> Tensor<Float> {
    get throws {
      if let stored = changed[reference.name] { return reference.read(stored) }
      guard let tensor = tensors[reference] else {
        throw Failure("tensor '\(reference.name)'", "is missing", "the graph refers to it")
      }
      return tensor
    }
  }
}

/// Where the samples of a network stand between two of its nodes. What lies before need not run again, so that many variants of what
/// comes behind cost what they change.
struct NetworkState: Sendable {
  let graph: ModelGraph
  private(set) var values: [String: Tensor<Float>]
  private(set) var place = 0
  private let shapes: [String: [Int?]]
  private let places: [Int]
  /// Which axes of the values count the samples; nil where all samples run at once.
  private let axes: SampleAxes?
  private let workers: Workers

  /// Samples of one piece; small enough for the caches and to keep all workers busy.
  private static let piece = 25

  init(_ graph: ModelGraph, _ inputs: [String: Tensor<Float>], workers: Workers) throws {
    self.graph = graph
    values = inputs
    shapes = try graph.shapes()
    axes = graph.sampleAxes
    places = graph.placesBetweenSamples(axes)
    self.workers = workers
  }

  private var sampleCount: Int {
    values.lazy.compactMap { name, tensor in axes?.axis(of: name).map { tensor.shape[$0] } }.first ?? 1
  }

  /// Runs up to the last place before a node at which it can stand.
  ///
  /// - Throws: `Failure` where a layer cannot be run.
  mutating func advance(to node: Int, _ weights: NetworkWeights) throws {
    guard let target = places.last(where: { $0 <= node }), target > place else { return }
    let segment = graph.segment(place..<target, shapes: shapes)
    // Inputs that all samples share cross as they are.
    let shared = values.filter { name, _ in
      axes?.axis(of: name) == nil && segment.outputs.contains { $0.value == name }
    }
    let made = segment.outputs.filter { shared[$0.value] == nil }
    let results = try run(ModelGraph(inputs: segment.inputs, nodes: segment.nodes, outputs: made), weights)
    values = shared.merging(zip(made.map(\.name), results)) { _, own in own }
    place = target
  }

  /// What the network gives from here on.
  func outputs(_ weights: NetworkWeights) throws -> [Tensor<Float>] {
    try run(graph.segment(place..<graph.nodes.count, shapes: shapes), weights)
  }

  /// The value of one name, run up to it where it lies behind the place.
  func value(_ name: String, _ weights: NetworkWeights) throws -> Tensor<Float> {
    if let value = values[name] { return value }
    let end = (graph.nodes.firstIndex { $0.name == name } ?? graph.nodes.count - 1) + 1
    let rest = graph.segment(place..<end, shapes: shapes)
    let segment = ModelGraph(inputs: rest.inputs, nodes: rest.nodes, outputs: [.init(name: name, value: name)])
    return try run(segment, weights)[0]
  }

  private func run(_ segment: ModelGraph, _ weights: NetworkWeights) throws -> [Tensor<Float>] {
    let engine = try Engine(segment) { try weights[$0] }
    let inputs = values.filter { name, _ in segment.inputs.contains { $0.name == name } }
    let count = sampleCount
    let size = axes.map { $0.batch ?? Self.piece } ?? count
    return try engine.outputs(count: count, piece: size, axes: axes, workers: workers) { range in
      inputs.samples(range, axes)
    }
  }
}
