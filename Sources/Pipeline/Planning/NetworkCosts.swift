import Basics
import Checkpoints
import Decompositions
import ModelGraph
import Planning
import TensorCore

/// What a network costs to run, and what each layer adds to that in its several forms. Nil where nobody can know: without a graph, with open
/// extents, without a device.
struct NetworkCosts: Sendable {
  /// Multiply-accumulates with every layer as it is.
  let macs: Int?
  private let latency: Latency?
  private let memory: ActivationMemory?
  /// Of an activation, in bytes.
  private let activationSize: Int
  private(set) var notices: [String] = []

  /// - Throws: `Failure` where the device cannot run the network, or a limit cannot be told without what is missing.
  init(_ checkpoint: Checkpoint, _ request: PlanRequest) throws {
    let graph = checkpoint.graph
    let dtype = request.device?.dtype ?? .f32
    macs = checkpoint.macs
    memory = try graph.flatMap { try ActivationMemory($0) }
    latency = try request.device.flatMap { device in try graph.flatMap { try Latency(of: $0, on: device) } }
    activationSize = max(1, dtype.bits / 8)
    let limits = request.budget
    if let asked = [
      (limits.macs != nil && macs == nil, "--max-macs"), (limits.ram != nil && memory == nil, "--max-ram"),
      (limits.latency != nil && request.device != nil && latency == nil, "--max-latency"),
    ].first(where: \.0)?.1 {
      throw Failure(
        checkpoint.path, "\(asked) cannot be kept",
        graph == nil
          ? "the checkpoint has no graph (\(checkpoint.graphAbsence ?? "the file holds none"))"
          : "the model leaves extents of its inputs open",
        remedy: graph == nil ? "give one with --graph or --architecture" : "export the model with a fixed input shape")
    }
    if request.device?.ram != nil, limits.ram == nil, memory == nil {
      notices = ["without a graph of fixed extents nobody knows whether the activations fit the device's RAM"]
    }
    if limits.latency != nil, request.device == nil {
      throw Failure(
        "--max-latency", "cannot be kept", "no device says how fast it is",
        remedy: "name one with --device; kcompress devices lists them, kcompress bench measures this machine")
    }
  }

  /// Seconds of the whole network for one sample.
  var seconds: Double? { latency?.total }

  /// Bytes of activations that are alive at once, with every layer as it is.
  var ram: Int? { memory.map { $0.peak * activationSize } }

  /// What the layer's stages add to the multiply-accumulates of the network as it is.
  func macs(of layer: Layer, _ stages: [Stage]) -> Int? {
    layer.denseMACs.flatMap { dense in layer.macs(stages).map { $0 - dense } }
  }

  /// What the layer's stages add to the seconds of the network as it is.
  func seconds(of layer: Layer, _ stages: [Stage]) -> Double? {
    latency.map { $0.seconds(of: layer.name, stages) - $0.dense(layer.name) }
  }

  /// Bytes of activations alive at once while the layer's stages run.
  func ram(of layer: Layer, _ stages: [Stage]) -> Int? {
    memory.map { $0.peak(of: layer.name, stages) * activationSize }
  }

  /// The same outside these layers' kernels, and the layer that is running then.
  func ram(outside layers: [Layer]) -> (bytes: Int, layer: String?)? {
    memory.map { memory in
      let (count, layer) = memory.peak(outside: Set(layers.map(\.name)))
      return (count * activationSize, layer)
    }
  }
}
