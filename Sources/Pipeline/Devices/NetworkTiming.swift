import Basics
import Checkpoints
import Inference
import ModelGraph
import Planning
import TensorCore

/// How long a network took on this machine, one sample on one thread, and each of its operations in its place: between its neighbours, with caches
/// as these leave them.
public struct NetworkTiming: Sendable {
  /// The structure in it, `dense` for the network itself.
  public let name: String
  /// Of every run but the first, which loads what the others find in caches.
  public let seconds: [Double]
  let nodes: [NodeTiming]

  /// The least of all runs: what else the machine does only adds to it.
  public var latency: Double { seconds.min() ?? .nan }
  public var macs: Int { nodes.reduce(0) { $0 + $1.macs } }

  /// Seconds that a device needs for it; infinite where the runtime does not have one of its operations.
  public func predicted(on device: DeviceProfile) -> Double { nodes.reduce(0) { $0 + $1.predicted(on: device) } }

  /// Runs end when this much time has passed, but for the first four.
  private static let patience = 2.0

  /// - Throws: `Failure` where the network cannot be run, or leaves extents open that `sampleShape` does not say.
  init(_ name: String, _ checkpoint: Checkpoint, repetitions: Int, sampleShape: [Int]) throws {
    self.name = name
    let (graph, engine) = try checkpoint.network()
    let samples = try Samples(seed: 0, count: 1, for: graph, sampleShape: sampleShape)
    let shapes = try graph.shapes(inputs: samples.inputs.mapValues(\.shape)).mapValues { $0.map(Int?.some) }
    guard let work = graph.work(shapes: shapes) else {
      throw Failure(checkpoint.path, "cannot be timed by operations", "the shapes of some values depend on the data")
    }
    // A node that runs as the end of another has its time counted there.
    let fused = graph.fusedNodes(shapes: shapes)
    var heads: [String: String] = [:]
    for node in graph.nodes { heads[node.name] = fused.contains(node.name) ? heads[node.inputs[0]] : node.name }
    let values = Set((graph.inputs.map(\.name) + graph.nodes.map(\.name)).filter(engine.computes))

    var least: [String: Double] = [:]
    var spare = Double.infinity
    var whole: [Double] = []
    let clock = ContinuousClock()
    let start = clock.now
    while whole.count <= repetitions, whole.count < 4 || (clock.now - start).inSeconds < Self.patience {
      var times: [String: Double] = [:]
      let beginning = clock.now
      var last = beginning
      try engine.run(samples.inputs, observing: values) { value, _ in
        let now = clock.now
        if let head = heads[value] { times[head, default: 0] += (now - last).inSeconds }
        last = now
      }
      whole.append((clock.now - beginning).inSeconds)
      spare = min(spare, whole[whole.count - 1] - times.values.reduce(0, +))
      least.merge(times) { min($0, $1) }
    }
    seconds = Array(whole.dropFirst())
    // What a run takes beside its operations grows with their count.
    let share = max(0, spare) / Double(max(1, least.count))
    nodes = zip(graph.nodes, work).compactMap { node, work in
      guard !work.isEmpty, let seconds = least[node.name] else { return nil }
      return NodeTiming(layer: node.layer, work: work, seconds: seconds + share)
    }
  }
}

/// How long one node took: the least of all runs.
struct NodeTiming: Sendable {
  let layer: String
  /// Never empty; more than one where something runs behind that the node could not take in.
  let work: [NodeWork]
  let seconds: Double

  var macs: Int { work.reduce(0) { $0 + $1.macs } }
  func predicted(on device: DeviceProfile) -> Double { work.reduce(0) { $0 + device.seconds(of: $1) } }
}
