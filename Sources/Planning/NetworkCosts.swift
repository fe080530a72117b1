import Basics
import Checkpoints
import Devices
import ModelGraph
import Plans

/// What a network takes to run, and what each layer's stages take of it. Nil where nobody can know: without a graph, with open
/// extents, without a device. The bytes of the file are `FileSizeModel`'s.
struct NetworkCosts: Sendable {
  /// What the network takes with every layer as it is.
  let total: Amounts
  private let latency: Latency?
  private let memory: ActivationMemory?
  /// The size of an activation in bytes.
  private let activationSize: Int
  private(set) var notices: [String] = []

  /// - Throws: `Failure` where the device cannot run the network, or a limit cannot be told without what is missing.
  init(_ checkpoint: Checkpoint, _ request: PlanRequest) throws {
    let graph = checkpoint.graph
    memory = try graph.flatMap { try ActivationMemory($0) }
    latency = try request.device.flatMap { device in try graph.flatMap { try Latency(of: $0, on: device) } }
    activationSize = max(1, (request.device?.dtype ?? .f32).bits / 8)
    var total = Amounts()
    for resource in Resource.allCases {
      switch resource {
      case .bytes: break
      case .macs: total[resource] = try checkpoint.macs.map(Double.init)
      case .latency: total[resource] = latency?.total
      case .ram: total[resource] = memory.map { [activationSize] in Double($0.peak * activationSize) }
      }
    }
    self.total = total
    if request.device == nil, let (resource, _) = request.budget.known.first(where: { $0.resource.needsDevice }) {
      throw Failure(
        resource.option, "cannot be kept", "no device says how fast it is",
        remedy: "name one with --device; kcompress devices lists them, kcompress bench measures this machine")
    }
    for (resource, _) in request.budget.known where resource != .bytes && total[resource] == nil {
      throw Failure(
        checkpoint.path, "\(resource.option) cannot be kept",
        graph == nil
          ? "the checkpoint has no graph (\(checkpoint.graphAbsence ?? "the file holds none"))"
          : "the model leaves extents of its inputs open",
        remedy: graph == nil ? "give one with --graph or --architecture" : "export the model with a fixed input shape")
    }
    if request.device?.ram != nil, request.budget[.ram] == nil, memory == nil {
      notices = ["without a graph of fixed extents nobody knows whether the activations fit the device's RAM"]
    }
  }

  /// What a layer's stages take: of a resource that adds up, what is added to the network's as it is; of one with a peak, what is
  /// alive while they run.
  func amounts(of layer: Layer, _ stages: [Stage]) -> Amounts {
    var result = Amounts()
    for resource in Resource.allCases {
      switch resource {
      case .bytes: break
      case .macs: result[resource] = layer.denseMACs.flatMap { dense in layer.macs(stages).map { Double($0 - dense) } }
      case .latency: result[resource] = latency.map { $0.seconds(of: layer.name, stages) - $0.dense(layer.name) }
      case .ram: result[resource] = memory.map { Double($0.peak(of: layer.name, stages) * activationSize) }
      }
    }
    return result
  }

  /// What a resource with a peak takes while none of these layers runs, and the layer that runs then; nil where nobody can know.
  func peak(_ resource: Resource, outside layers: [Layer]) -> (amount: Double, layer: String?)? {
    switch resource {
    case .bytes, .macs, .latency: return nil
    case .ram:
      return memory.map { memory in
        let (count, layer) = memory.peak(outside: Set(layers.map(\.name)))
        return (Double(count * activationSize), layer)
      }
    }
  }
}
