import Basics
import Checkpoints
import Foundation
import ModelGraph
import ONNXProto
import SwiftProtobuf
import TensorCore

/// Puts stock operators of the model's own opset in place of its kernels. Everything else keeps its name and its place.
///
/// The weights of a replaced layer are named as `SequentialTensor` says, so that the factors of `conv1.weight` are
/// `conv1.0.weight`, `conv1.1.weight`, ...
struct ONNXEditor {
  let graph: ONNXGraph

  init(_ graph: ONNXGraph) { self.graph = graph }

  /// Why stock operators cannot express these stages in place of the layer; nil where they can.
  func refusal(of stages: [Stage], for layer: Layer) -> String? {
    if let reason = layer.refusal { return reason }
    if layer.convolution.spatialOrder > 0, graph.model.opset < 7, stages.addsBias {
      return "version \(graph.model.opset) of the ONNX operators cannot add a bias to the channels"
    }
    // A linear layer over several axes needs their count to move channels to the batch.
    let isShared = stages.convolutions.contains { $0.batch > 1 }
    return isShared && rank(of: layer) == nil ? "the count of its input's axes is not known" : nil
  }

  /// Why the model cannot store a layer's weights so; nil where it can.
  func refusal(of storage: WeightStorage, for layer: Layer) -> String? {
    guard case .integers(let width) = storage else { return nil }
    let opset = graph.model.opset
    if layer.dtype != .f32 {
      return "integers stand for numbers in single precision, and the layer's are \(layer.dtype.rawValue)"
    }
    if opset < 7 {
      return "version \(opset) of the ONNX operators cannot multiply integers by a scale for each output channel"
    }
    switch width {
    case .eight: return nil
    case .four:
      return opset < 21 ? "version \(opset) of the ONNX operators has no integers of 4 bits, which version 21 has" : nil
    case .two, .three, .five, .six, .seven:
      return "ONNX has integers of 8 bits and, from version 21 of its operators on, of 4, none of \(width.rawValue)"
    }
  }

  /// For each replacement the names of the layers that will hold its factors.
  func partNames(replacing replacements: [Replacement]) throws -> [[String]] {
    try replacements.map { replacement in
      let layer = try self.layer(replacement)
      return replacement.stages.sequentialTensors.compactMap { tensor in
        guard case .weight = tensor.role else { return nil }
        return partName(layer, tensor)
      }
    }
  }

  /// The file with the replacements made.
  ///
  /// - Throws: `Failure` where a layer cannot be replaced, a weight is no finite number of its type, or the file is too large for
  ///   the format.
  func file(replacing replacements: [Replacement], record: JSON?) throws -> ONNXFile {
    try edited(replacements, record: record).file()
  }

  /// The exact bytes that `file` writes. Replacements need no weights.
  func byteCount(replacing replacements: [Replacement], record: JSON) throws -> Int {
    try edited(replacements, record: record).byteCount()
  }

  /// What a replacement needs that others may need too, which the file then holds once; each listed once.
  func vectors(of replacement: Replacement) throws -> [IntegerVector] {
    let layer = try layer(replacement)
    let writer = writer(replacement, layer)
    var result: [IntegerVector] = []
    for use in graph.uses[layer.name] ?? [] {
      for vector in writer.vectors(for: graph.model.proto.graph.node[use]) where !result.contains(vector) {
        result.append(vector)
      }
    }
    return result
  }

  func byteCount(of vector: IntegerVector) throws -> Int { try ONNXEdit(graph.model).byteCount(of: vector) }

  static var reproducible: BinaryEncodingOptions {
    var options = BinaryEncodingOptions()
    options.useDeterministicOrdering = true
    return options
  }

  private func partName(_ layer: Layer, _ tensor: SequentialTensor) -> String {
    "\(graph.partNames[layer.name] ?? layer.name).\(tensor.position)"
  }

  private func writer(_ replacement: Replacement, _ layer: Layer) -> ONNXStageWriter {
    ONNXStageWriter(layer: layer, rank: rank(of: layer), stages: replacement.stages) {
      partName(layer, $0) + ".weight"
    }
  }

  private func layer(_ replacement: Replacement) throws -> Layer {
    guard let layer = graph.layersByName[replacement.layer] else {
      throw Failure("layer '\(replacement.layer)'", "cannot be replaced", "the model has no such layer")
    }
    if let reason = refusal(of: replacement.stages, for: layer) {
      throw Failure("layer '\(layer.name)'", "cannot be replaced", reason)
    }
    return layer
  }

  private func rank(of layer: Layer) -> Int? {
    if layer.convolution.spatialOrder > 0 { return layer.convolution.spatialOrder + 2 }
    let ranks: [Int?] = (graph.uses[layer.name] ?? []).map { graph.rank(ofInputOfNode: $0) }
    guard let first = ranks.first, ranks.allSatisfy({ $0 == first }) else { return nil }
    return first
  }

  /// A weight as the file has it. What becomes single precision does so first, so that a large one is not there in doubles twice.
  private func stored(
    _ weight: Tensor<Double>, _ index: Int, _ name: String, _ writer: ONNXStageWriter, _ layer: Layer
  ) throws -> StoredTensor {
    guard layer.dtype == .f32 else {
      return try StoredTensor(name: name, writer.stored(weight, index), as: layer.dtype, of: layer)
    }
    return try StoredTensor(
      name: name, writer.stored(weight.converted(to: Float.self), index), as: layer.dtype, of: layer)
  }

  private func edited(_ replacements: [Replacement], record: JSON?) throws -> ONNXEdit {
    var edit = ONNXEdit(graph.model)
    for replacement in replacements {
      let layer = try layer(replacement)
      precondition(
        replacement.weights.isEmpty
          || replacement.weights.map(\.shape) == replacement.stages.convolutions.map(\.kernelShape),
        "the weights of '\(layer.name)' are not those of its stages")
      let writer = writer(replacement, layer)
      let uses = graph.uses[layer.name] ?? []
      let computed = uses.first.flatMap { graph.model.constant(named: graph.model.proto.graph.node[$0].input[1])?.type }
      for (name, shape, weight) in writer.weights {
        if case .integers(let width) = replacement.storage {
          edit.addRounded(
            name, shape: shape, axis: writer.channelAxis(ofWeight: weight), width: width,
            replacement.rounded.isEmpty ? nil : writer.stored(replacement.rounded[weight], weight))
          continue
        }
        guard !replacement.weights.isEmpty else {
          edit.add(name, shape: shape, dtype: layer.dtype, nil, computed: computed)
          continue
        }
        let stored = try stored(replacement.weights[weight], weight, name, writer, layer)
        edit.add(name, shape: shape, dtype: layer.dtype, stored.bytes, computed: computed)
      }
      for use in uses {
        let original = graph.model.proto.graph.node[use]
        edit.replace(use, with: writer.nodes(for: original, makingNamesIn: &edit))
      }
    }
    edit.record = record
    return edit
  }
}

extension [Stage] {
  /// Whether a bias follows something else than a convolution that takes it up.
  fileprivate var addsBias: Bool {
    indices.contains { index in
      guard case .bias = self[index] else { return false }
      guard index > 0, case .convolution(let convolution) = self[index - 1] else { return true }
      return convolution.batch > 1
    }
  }
}

extension ONNXGraph {
  /// The count of axes of a node's first input; nil where it is not known.
  fileprivate func rank(ofInputOfNode index: Int) -> Int? {
    let node = model.proto.graph.node[index]
    return node.opType == "Gemm" ? 2 : node.input.first.flatMap { ranks[$0] }
  }
}
