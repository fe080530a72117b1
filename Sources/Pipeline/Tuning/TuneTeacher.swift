import Basics
import Checkpoints
import Inference
import ModelGraph
import TensorCore

/// The original network, which says what outputs should be and, if asked, values inside.
struct TuneTeacher: Sendable {
  /// The values inside that teach; they come behind the outputs.
  let features: [String]
  private let outputsAlone: Engine
  private let engine: Engine

  /// - Parameters:
  ///   - graph: of the network that learns.
  ///   - inputs: the shapes of a sample.
  /// - Throws: `Failure` where it cannot be run, or shares no value inside with the network though features are asked for.
  init(
    _ original: Checkpoint, of checkpoint: Checkpoint, _ graph: ModelGraph, hasFeatures: Bool, inputs: [String: [Int]]
  ) throws {
    guard let own = original.graph else {
      throw Failure(
        original.path, "cannot teach", original.graphAbsence ?? "it has no graph",
        remedy: "give an ONNX export of it with --graph")
    }
    outputsAlone = try Engine(own) { try original.parameter($0) }
    guard hasFeatures else {
      (features, engine) = ([], outputsAlone)
      return
    }
    let (shapes, others) = (try own.shapes(inputs: inputs), try graph.shapes(inputs: inputs))
    features = graph.features(sharedWith: own).filter { shapes[$0] != nil && shapes[$0] == others[$0] }
    guard !features.isEmpty else {
      throw Failure(
        checkpoint.path, "has no features to learn", "it shares no value inside with '\(original.path)'",
        remedy: "leave --features out")
    }
    engine = try Engine(own.showing(features)) { try original.parameter($0) }
  }

  /// The outputs of a batch, and the features.
  func run(_ inputs: [String: Tensor<Float>]) throws -> [Tensor<Float>] { try engine.run(inputs) }

  /// The outputs alone, piece by piece.
  func outputs(
    count: Int, piece: Int, workers: Workers,
    of samples: @escaping @Sendable (Range<Int>) throws -> [String: Tensor<Float>]
  ) throws -> [Tensor<Float>] {
    try outputsAlone.outputs(count: count, piece: piece, workers: workers, of: samples)
  }
}

extension ModelGraph {
  /// The values by which a compressed network can be compared with its original inside: those that all that follows depends on alone, such as
  /// the output of a residual block, where a kernel or several nodes read them.
  ///
  /// - Parameter original: nodes that compression left alone have the same names in it.
  /// - Returns: names, in the order of the network; the outputs are left out.
  func features(sharedWith original: ModelGraph) -> [String] {
    let theirs = original.narrowPlaces
    let shown = Set((outputs + original.outputs).map(\.value))
    return nodes.map(\.name).filter(narrowPlaces.intersection(theirs).subtracting(shown).contains)
  }

  /// The network with values inside it as further outputs.
  func showing(_ values: [String]) -> ModelGraph {
    ModelGraph(inputs: inputs, nodes: nodes, outputs: outputs + values.map { Output(name: $0, value: $0) })
  }

  /// Values that cross a place between nodes alone and are read by a kernel or more than once.
  private var narrowPlaces: Set<String> {
    let wiring = Wiring(self)
    let names = nodes.indices.compactMap { index -> String? in
      let crossing = values(crossing: index, wiring)
      return crossing.count == 1 ? crossing[0] : nil
    }
    return Set(
      names.filter { name in
        let readers = wiring.readers(of: name)
        return readers.count > 1 || readers.contains { nodes[$0].operation.roles.contains { $0.1 == .kernel } }
      }
    ).subtracting(inputs.map(\.name))
  }
}
