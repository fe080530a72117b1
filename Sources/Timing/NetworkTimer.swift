import Basics
import Checkpoints
import Inference
import ModelGraph
import Running
import TensorCore

/// Times a network in rounds, so that several networks can take turns and what else the machine does meets all of them.
struct NetworkTimer {
  private let name: String
  private let engine: Engine
  private let inputs: [String: Tensor<Float>]
  private let nodes: [(name: String, layer: String, work: [NodeWork])]
  /// The node that each value's time counts for: what runs as the end of another, or only changes a shape, counts there.
  private let heads: [String: String]
  private let values: Set<String>
  private var least: [String: Double] = [:]
  private var spare = Double.infinity
  private var seconds: [Double] = []

  /// A round ends when this much time has passed, but for its first two runs.
  private static let patience = 0.4

  /// - Throws: `Failure` where the network cannot be run, or leaves extents open that `sampleShape` does not say.
  init(_ name: String, _ checkpoint: Checkpoint, sampleShape: [Int]) throws {
    self.name = name
    let (graph, engine) = try checkpoint.network()
    self.engine = engine
    let samples = try Samples(seed: 0, count: 1, for: graph, sampleShape: sampleShape)
    inputs = samples.inputs
    let shapes = try graph.shapes(inputs: inputs.mapValues(\.shape)).mapValues { $0.map(Int?.some) }
    guard let work = graph.work(shapes: shapes) else {
      throw Failure(checkpoint.path, "cannot be timed by operations", "the shapes of some values depend on the data")
    }
    nodes = zip(graph.nodes, work).map { ($0.name, $0.layer, $1) }
    let fused = graph.fusedNodes(shapes: shapes)
    var heads: [String: String] = [:]
    for (node, work) in zip(graph.nodes, work) {
      let isTail = fused.contains(node.name) || work.isEmpty
      heads[node.name] = isTail ? node.inputs.first.flatMap { heads[$0] } : node.name
    }
    self.heads = heads
    values = Set((graph.inputs.map(\.name) + graph.nodes.map(\.name)).filter(engine.computes))
  }

  /// Runs one round.
  ///
  /// - Throws: `Failure` where an operation meets what it cannot compute.
  mutating func run(repetitions: Int) throws {
    let clock = ContinuousClock()
    let start = clock.now
    var count = 0
    while count <= repetitions, count < 2 || (clock.now - start).inSeconds < Self.patience {
      var times: [String: Double] = [:]
      let beginning = clock.now
      var last = beginning
      try engine.run(inputs, observing: values) { value, _ in
        let now = clock.now
        if let head = heads[value] { times[head, default: 0] += (now - last).inSeconds }
        last = now
      }
      let whole = (clock.now - beginning).inSeconds
      if count > 0 { seconds.append(whole) }
      count += 1
      spare = min(spare, whole - times.values.reduce(0, +))
      least.merge(times) { min($0, $1) }
    }
  }

  /// What all rounds came to.
  var timing: NetworkTiming {
    // What a run takes beside its operations grows with their count.
    let share = max(0, spare) / Double(max(1, least.count))
    return NetworkTiming(
      name: name, seconds: seconds,
      nodes: nodes.compactMap { node in
        guard !node.work.isEmpty, let seconds = least[node.name] else { return nil }
        return NodeTiming(layer: node.layer, work: node.work, seconds: seconds + share)
      })
  }
}
