import Basics
import ModelGraph
import Synchronization
import TensorCore

extension Checkpoint {
  /// A tensor by its name; nil where there is none.
  public func tensor(named name: String) -> StoredTensor? {
    places.place(of: name, in: tensors).map { tensors[$0] } ?? graphTensors.first { $0.name == name }
  }

  /// Why the format cannot express these stages in place of the layer; nil where it can.
  public func refusal(of stages: [Stage], for layer: Layer) -> String? {
    switch content {
    case .safetensors: nil
    case .onnx(let graph): ONNXEditor(graph).refusal(of: stages, for: layer)
    case .keras(let graph): KerasEditor(graph).refusal(of: stages, for: layer)
    }
  }

  /// For each replacement, the names of the layers that will hold its weights in the compressed checkpoint: one for each
  /// convolution among its stages.
  public func partNames(replacing replacements: [Replacement]) throws -> [[String]] {
    switch content {
    case .safetensors:
      replacements.map { replacement in
        replacement.stages.sequentialTensors.compactMap { tensor in
          guard case .weight = tensor.role else { return nil }
          return "\(replacement.layer).\(tensor.position)"
        }
      }
    case .onnx(let graph): try ONNXEditor(graph).partNames(replacing: replacements)
    case .keras(let graph):
      try KerasEditor(graph).partNames(replacing: replacements)
    }
  }

  /// Integers that a replacement needs and that the file holds once for all replacements that need them: only ONNX has such.
  ///
  /// - Throws: `Failure` where the layer cannot be replaced.
  public func sharedVectors(of replacement: Replacement) throws -> [IntegerVector] {
    guard case .onnx(let graph) = content else { return [] }
    return try ONNXEditor(graph).vectors(of: replacement)
  }

  /// What such integers take in the file, each time that it holds them.
  public func byteCount(of vector: IntegerVector) throws -> Int {
    guard case .onnx(let graph) = content else { return 0 }
    return try ONNXEditor(graph).byteCount(of: vector)
  }
}

/// Where tensors stand in a list, found by name; prepared when it is asked for first.
final class TensorPlaces: Sendable {
  private let places = Mutex<[String: Int]?>(nil)

  /// - Parameter tensors: always the same.
  func place(of name: String, in tensors: [StoredTensor]) -> Int? {
    places.withLock { known in
      if let known { return known[name] }
      let made = Dictionary(tensors.enumerated().map { ($1.name, $0) }) { first, _ in first }
      known = made
      return made[name]
    }
  }
}
