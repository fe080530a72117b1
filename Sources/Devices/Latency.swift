import Basics
import ModelGraph
import TensorCore

/// How long a network takes on a device for one sample: a sum over its nodes, so that the time of a plan is that of the network less the dense
/// layers' plus their replacements'.
package struct Latency: Sendable {
  /// Seconds for the network as it is.
  package let total: Double

  private let profile: DeviceProfile
  private let dtype: DType?
  private let uses: [String: [Use]]

  /// One node with a kernel that stages could replace.
  private struct Use {
    let layout: ChannelLayout
    let input: [Int]
    let dense: Double
    /// What follows and runs as the end of the node as long as that takes it up.
    let follower: [NodeWork]
  }

  /// Makes the model of a network on a device; nil where the network leaves extents open, or does not take one sample.
  ///
  /// - Parameter dtype: of weights and activations; nil for the device's own.
  /// - Throws: `Failure` where the device's runtime does not have an operation of the network, or the graph does not fit together.
  package init?(of graph: ModelGraph, on profile: DeviceProfile, dtype: DType? = nil) throws {
    self.profile = profile
    self.dtype = dtype
    guard let shapes = try graph.shapesOfOneSample(), let work = graph.work(shapes: shapes) else { return nil }
    let fused = graph.fusedNodes(shapes: shapes)
    var total = 0.0
    var uses: [String: [Use]] = [:]
    for (index, node) in graph.nodes.enumerated() {
      if let missing = work[index].first(where: { profile.operations[$0.kind] == nil }) {
        throw Failure(
          "device '\(profile.name)'", "cannot run layer '\(node.layer)'",
          "its runtime has no operation '\(missing.kind.words)'")
      }
      let seconds = work[index].reduce(0) { $0 + profile.seconds(of: $1, dtype: dtype) }
      total += seconds
      guard let layout = node.kernelLayout, let input = shapes[node.inputs[0]]?.known,
        let output = shapes[node.name]?.known
      else { continue }
      let follower = graph.nodes[(index + 1)...].first { fused.contains($0.name) && $0.inputs == [node.name] }
      uses[node.layer, default: []].append(
        Use(
          layout: layout, input: input, dense: seconds,
          follower: follower?.work(inputs: [output], output: output) ?? []))
    }
    self.total = total
    self.uses = uses
  }

  /// Seconds of all uses of a layer as it is.
  package func dense(_ layer: String) -> Double { (uses[layer] ?? []).reduce(0) { $0 + $1.dense } }

  /// Seconds of all uses of a layer when stages take its place, and of what they no longer take up. Infinite where the runtime does not have
  /// an operation of theirs.
  ///
  /// - Precondition: the stages take the layer's place in the graph.
  package func seconds(of layer: String, _ stages: [Stage]) -> Double {
    (uses[layer] ?? []).reduce(0) { $0 + seconds(of: stages, at: $1) }
  }

  private func seconds(of stages: [Stage], at use: Use) -> Double {
    let steps = stages.steps(on: use.input, layout: use.layout)
    let takesFinish = steps.last?.takesFinish ?? false
    return (steps.flatMap(\.work) + (takesFinish ? [] : use.follower))
      .reduce(0) { $0 + profile.seconds(of: $1, dtype: dtype) }
  }
}
