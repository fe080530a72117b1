import Basics
import ModelGraph
import TensorCore

/// A layer of a compressed checkpoint, as apply recorded it.
public struct FactoredLayer: Sendable {
  /// The original layer's name.
  public let name: String
  public let stages: [Stage]
  /// The names of the modules that hold the weights, one for each convolution.
  public let parts: [String]

  public init(name: String, stages: [Stage], parts: [String]) {
    self.name = name
    self.stages = stages
    self.parts = parts
  }
}

extension Checkpoint {
  /// A safetensors checkpoint with the graph of an ONNX export of the same network: layers know their windows, and the network
  /// runs with the checkpoint's own weights.
  ///
  /// The export's initialisers are matched by name, then by shape and values. Small constants that the checkpoint does not have
  /// come from the export.
  ///
  /// - Parameter factored: the layers that are compressed, whose kernels are gone.
  /// - Throws: `Failure` where this checkpoint has a graph of its own, or a kernel of the export is none of its tensors.
  public func withGraph(_ graphPath: String, factored: [FactoredLayer] = []) throws -> Checkpoint {
    guard case .safetensors(let set) = content else {
      throw Failure(path, "takes no --graph", "it has a graph of its own", remedy: "leave the option out")
    }
    let export = try Checkpoint.open(graphPath)
    guard case .onnx(let onnx) = export.content else {
      throw Failure(graphPath, "is no graph", "it is no ONNX model", remedy: "export the network to ONNX")
    }
    let matching = TensorMatching(export.tensors, self)
    try matching.check(self, factored: Set(factored.map(\.name)), graphPath)
    let compressed = Dictionary(factored.map { ($0.name, $0) }) { first, _ in first }
    let named = Dictionary(
      onnx.layers.map { layer in (layer.name, matching.module(ofKernel: layer.kernel.name) ?? layer.name) }
    ) { first, _ in first }

    var graph = ModelGraph(
      inputs: onnx.graph.inputs,
      nodes: try onnx.graph.nodes.map { node in
        let layer = named[node.layer]
        let operation = try node.operation.replacingReferences { reference in
          if let own = matching.own[reference.name] { return reference.renamed(own) }
          if let layer, compressed[layer] != nil { return reference }
          if layer != nil, node.holdsKernel {
            throw Failure(
              graphPath, "does not belong to '\(path)'",
              "its tensor '\(reference.name)' of layer '\(node.layer)' is none of the checkpoint's, by name or by value",
              remedy: "export the same weights, without folding batch normalisation into them")
          }
          return reference.renamed(TensorMatching.foreignPrefix + reference.name)
        }
        return Node(name: node.name, layer: layer ?? node.layer, operation: operation, inputs: node.inputs)
      }, outputs: onnx.graph.outputs)
    for layer in factored {
      graph = graph.replacing(
        layer: layer.name, with: layer.stages,
        factors: layer.parts.map { TensorReference("\($0).weight") },
        bias: try bias(of: layer).map { TensorReference($0) })
    }

    let byModule = Dictionary(onnx.layers.map { (named[$0.name] ?? $0.name, $0) }) { first, _ in first }
    return Checkpoint(
      path: path, format: format, formatVersion: formatVersion, sha256: sha256, byteCount: byteCount, tensors: tensors,
      layers: layers.map { layer in byModule[layer.name].map { layer.placed(as: $0) } ?? layer }, graph: graph,
      graphAbsence: nil, notices: notices + matching.notices(graphPath), record: record,
      content: .safetensors(set), graphTensors: matching.foreign)
  }

  /// Where the bias of a compressed layer went.
  private func bias(of layer: FactoredLayer) throws -> String? {
    guard let tensor = layer.stages.sequentialTensors.first(where: { $0.role == .bias }) else { return nil }
    return "\(layer.name).\(tensor.suffix)"
  }
}

extension Layer {
  /// A layer of a file without a graph with what the graph says about it.
  fileprivate func placed(as other: Layer) -> Layer {
    guard other.kernelShape == kernelShape || other.convolution.parameterCount == convolution.parameterCount else {
      return self
    }
    return Layer(
      name: name, kind: other.kind, kernel: kernel, bias: bias, dtype: dtype, convolution: other.convolution,
      inputExtents: other.inputExtents, refusal: other.refusal ?? refusal)
  }
}

/// Which tensor of a checkpoint each tensor of its export is.
private struct TensorMatching {
  /// For the export's names the checkpoint's.
  private(set) var own: [String: String] = [:]
  /// The export's tensors that the checkpoint does not have, under names that none of it has.
  private(set) var foreign: [StoredTensor] = []
  /// The checkpoint's tensors that have the name and the shape of one of the export's and other values.
  private(set) var changed: [String] = []

  static let foreignPrefix = "graph: "

  init(_ exported: [StoredTensor], _ checkpoint: Checkpoint) {
    let names = Dictionary(checkpoint.tensors.map { ($0.name, $0) }) { first, _ in first }
    let candidates = Dictionary(grouping: checkpoint.tensors, by: \.shape)
    for tensor in exported {
      if let same = names[tensor.name], same.shape == tensor.shape {
        own[tensor.name] = tensor.name
        if tensor.dtype.isCompressible, !Self.haveEqualValues(same, tensor) { changed.append(tensor.name) }
        continue
      }
      guard tensor.dtype.isCompressible, tensor.shape.reduce(1, *) > 1,
        let match = candidates[tensor.shape]?.first(where: { Self.haveEqualValues($0, tensor) })
      else {
        foreign.append(tensor.renamed(Self.foreignPrefix + tensor.name))
        continue
      }
      own[tensor.name] = match.name
    }
  }

  private static func haveEqualValues(_ a: StoredTensor, _ b: StoredTensor) -> Bool {
    if a.dtype == b.dtype { return a.bytes == b.bytes }
    // One of them may have been rounded to the other's type.
    guard a.dtype.isCompressible, let values = try? b.decoded(as: Double.self) else { return false }
    return StoredTensor(name: "", values, as: a.dtype).bytes == a.bytes
  }

  /// The module that stores a kernel of the export.
  func module(ofKernel name: String) -> String? {
    let stored = own[name] ?? name
    return SafetensorsLayers.modulePrefix(ofKernel: stored).map {
      $0.isEmpty ? SafetensorsLayers.rootName : String($0.dropLast())
    }
  }

  /// A network may have grown a head that its export lacks, or been trained since; a graph of which both seem true is another's.
  func check(_ checkpoint: Checkpoint, factored: Set<String>, _ graphPath: String) throws {
    let used = Set(own.values)
    let parts = checkpoint.layers.filter { layer in
      !used.contains(layer.kernel.name) && !factored.contains { layer.name.hasPrefix($0 + ".") }
    }
    guard let missing = parts.first, let changed = changed.first else { return }
    throw Failure(
      graphPath, "does not belong to '\(checkpoint.path)'",
      "it has other values for '\(changed)' and no use for '\(missing.kernel.name)'",
      remedy: "export the network that the checkpoint is of")
  }

  func notices(_ graphPath: String) -> [String] {
    let renamed = own.filter { $0.key != $0.value }.count
    var notices: [String] = []
    if renamed > 0 {
      notices.append("\(renamed) tensors of '\(graphPath)' were told by their values, not by their names")
    }
    if !changed.isEmpty {
      notices.append(
        "\(changed.count) tensors have other values than in '\(graphPath)', '\(changed[0])' say; the checkpoint's count"
      )
    }
    return notices
  }
}
