import Basics
import Checkpoints
import ModelGraph
import TensorCore

extension Checkpoint {
  /// A checkpoint of tensors alone with the graph of an ONNX export of the same network: layers know their windows, and the
  /// network runs with the checkpoint's own weights.
  ///
  /// The export's initialisers are matched by name, then by shape and values. Small constants that the checkpoint does not have
  /// come from the export. Of a compressed checkpoint the export is that of the original: the layers that apply recorded have
  /// the stages of the record.
  ///
  /// - Throws: `Failure` where this checkpoint has a graph of its own, or a kernel of the export is none of its tensors.
  package func withGraph(_ graphPath: String) throws -> Checkpoint {
    guard content.takesGraph else {
      throw Failure(path, "takes no --graph", "it has a graph of its own", remedy: "leave the option out")
    }
    let export = try Checkpoint.open(graphPath)
    guard export.content.lendsGraph, let exported = export.graph else {
      throw Failure(graphPath, "is no graph", "it is no ONNX model", remedy: "export the network to ONNX")
    }
    let recorded = try compressionRecord()?.layers ?? []
    let factored = recorded.filter { $0.structure != Replacement.dense }
    let matching = TensorMatching(export.tensors, self)
    let kernels = FactoredKernels(factored, of: self)
    let foldings = try FoldedNormalizations(
      export, exported, self, factored: kernels,
      promises: Dictionary(recorded.map { ($0.name, $0.promised) }) { first, _ in first },
      isKnown: { matching.isSame($0) }, used: Set(matching.own.values))
    try matching.check(
      self, factored: Set(factored.map(\.name)), computed: export.content.computedFrom, foldings, graphPath)
    /// The checkpoint's layer that a layer of the export is: by its kernel's name, or by the factors that are near it.
    func own(_ layer: Layer) -> String? {
      let name = matching.layerName(ofKernel: layer.kernel.name)
      guard matching.own[layer.kernel.name] == nil, !factored.contains(where: { $0.name == name }), !kernels.all.isEmpty
      else { return name }
      return (try? export.kernel(of: layer)).flatMap { kernels.layer(nearestTo: $0) } ?? name
    }
    let names = Dictionary(
      export.layers.map { layer in
        (layer.name, foldings.byKernel[layer.kernel.name]?.layer ?? own(layer) ?? layer.name)
      }
    ) { first, _ in first }
    let zeros = Set(export.tensors.filter { !$0.shape.isEmpty && $0.bytes.allSatisfy { $0 == 0 } }.map(\.name))

    // A bias that another node adds is still the layer's, wherever it is stored now.
    let moved = Dictionary(factored.compactMap { layer in layer.biasName.map { ("\(layer.name).bias", $0) } }) {
      first, _ in first
    }
    var graph = ModelGraph(
      inputs: exported.inputs,
      nodes: try exported.nodes.flatMap { node -> [Node] in
        if let folding = node.kernelName.flatMap({ foldings.byKernel[$0] }) { return folding.nodes(for: node) }
        let layer = names[node.layer]
        let isCompressed = factored.contains { $0.name == layer }
        let operation = try node.operation.replacingReferences { reference in
          if let moved = moved[reference.name] { return reference.renamed(moved) }
          if let own = matching.reference(reference) { return own }
          if isCompressed { return reference }
          // Exporters give layers without a bias one of zeros.
          let isZero = zeros.contains(reference.name) && reference.name != node.kernelName
          if layer != nil, node.holdsKernel, !isZero {
            throw Failure(
              graphPath, "does not belong to '\(path)'",
              "its tensor '\(reference.name)' of layer '\(node.layer)' is none of the checkpoint's, by name or by value",
              remedy: "export with export_graph of the printed loader")
          }
          return reference.renamed(TensorMatching.foreignPrefix + reference.name)
        }
        return [Node(name: node.name, layer: layer ?? node.layer, operation: operation, inputs: node.inputs)]
      }, outputs: exported.outputs)
    for layer in factored {
      graph = graph.replacing(
        layer: layer.name, with: layer.stages, factors: layer.parts.map { TensorReference("\($0).weight") },
        bias: layer.biasName.map { TensorReference($0) })
    }

    let byName = Dictionary(export.layers.map { (names[$0.name] ?? $0.name, $0) }) { first, _ in first }
    return Checkpoint(
      self, joining: graph, layers: layers.map { layer in byName[layer.name].map { layer.placed(as: $0) } ?? layer },
      graphTensors: matching.foreign(without: foldings.made), notices: matching.notices(graphPath, foldings))
  }
}

extension Record.LayerRecord {
  /// The name of the tensor that the layer's bias became, nil where there is none.
  fileprivate var biasName: String? {
    stages.sequentialTensors.first { $0.role == .bias }.map { "\(name).\($0.suffix)" }
  }
}

extension Layer {
  /// Whether a graph's layer reads its kernel in the order in which the file without a graph was thought to store it, so that what was in doubt
  /// is not any more.
  private func isStored(as layer: Layer) -> Bool {
    layer.isInDoubt && kernelShape == layer.kernelShape
      && kernel.permutation.map { $0 == Array($0.indices) } ?? true
  }

  /// A layer of a file without a graph with what the graph says about it.
  fileprivate func placed(as other: Layer) -> Layer {
    guard other.kernelShape == kernelShape || other.convolution.parameterCount == convolution.parameterCount else {
      return self
    }
    return Layer(
      name: name, kind: other.kind, kernel: kernel, bias: bias, dtype: dtype, convolution: other.convolution,
      inputExtents: other.inputExtents, refusal: other.refusal ?? (other.isStored(as: self) ? nil : refusal))
  }
}
