import Basics
import Checkpoints
import ModelGraph
import TensorCore

extension SafetensorsSet: CheckpointContent {
  package var format: any CheckpointFormat.Type { source.format }
  package var formatName: String { source.name }
  package var formatVersion: String? { nil }
  package var graph: ModelGraph? { nil }
  package var graphAbsence: String? {
    "a \(source.name == "pytorch" ? "state dict" : "safetensors file") holds tensors only, and no graph"
  }
  package var metadata: [String: String]? { isSharded ? nil : shards[0].metadata }
  /// Nobody states it: networks are run in the type of their weights.
  package var computedType: DType {
    tensors.lazy.map(\.dtype).filter(\.isCompressible).max { $0.unitRoundoff < $1.unitRoundoff } ?? .f32
  }
  package var innerTensors: [InnerTensor] { [] }
  package var readers: [String: String] { [:] }
  package var stateDict: StateDictOptions? { source.options }
  package var missesArchitecture: Bool { false }
  package var takesGraph: Bool { true }
  package var lendsGraph: Bool { false }

  package func layerName(ofKernel tensor: String) -> String? { SafetensorsLayers.layerName(ofKernel: tensor) }

  package func architecturePath(besides path: String) -> String? { nil }

  package func refusal(of stages: [Stage], for layer: Layer) -> String? {
    nil
  }

  package var scaleType: DType { RoundedEntry.scaleType }

  package var floatTypeBesideIntegers: DType? { .f16 }

  package func storage(_ width: BitWidth) -> WeightStorage { .integers(width) }

  package func refusal(of storage: WeightStorage, for layer: Layer) -> String? {
    guard storage != .float else { return nil }
    if SafetensorsLayers.isBareKernel(layer.kernel.name) { return "its module keeps it under a name of its own" }
    return layer.kernel.permutation == nil ? nil : "its first mode is the input, and integers have scales for outputs"
  }

  package func partNames(replacing replacements: [Replacement]) throws -> [[String]] {
    replacements.map { replacement in
      guard !replacement.isDense else { return [replacement.layer] }
      return replacement.stages.sequentialTensors.compactMap { tensor in
        switch tensor.role {
        case .weight: "\(replacement.layer).\(tensor.position)"
        case .bias: nil
        }
      }
    }
  }

  package func sharedVectors(of replacement: Replacement) throws -> [IntegerVector] { [] }

  package func byteCount(of vector: IntegerVector) throws -> Int {
    preconditionFailure("a safetensors file holds no integers for its layers")
  }

  /// Where a file shrinks, the two offsets of a tensor lose a digit each.
  package var sizeSlack: Int { 64 + 8 * layers.count + 2 * tensors.count }

  package func byteCount(replacing replacements: [Replacement], record: JSON, at path: String) throws -> Int {
    let nameLength =
      isSharded ? SafetensorsLayout.quotedLength(try Self.shardNames(indexPath: path, count: 1)[0]) : 0
    return try sizes.byteCount(replacements, record: record, shardNameLength: nameLength)
  }

  /// The count is the writer's own.
  package func provenByteCount(replacing replacements: [Replacement], record: JSON, at path: String) throws -> Int {
    try byteCount(replacing: replacements, record: record, at: path)
  }

  package func write(
    replacing replacements: [Replacement], record: JSON?, to path: String, overwrite: Bool, source: String
  ) throws {
    if let suffix = [".pt", ".pth", ".bin", ".ckpt"].first(where: { path.hasSuffix($0) }) {
      throw Failure(
        path, "cannot be written", "what is written is a safetensors file, which '\(suffix)' does not say",
        remedy: "let the name end in .safetensors")
    }
    let result = try Failure.within(source) { try replacing(replacements, record: record) }
    try result.write(to: path, overwrite: overwrite)
  }

  package func refusal(of dtype: DType) -> String? { nil }

  package func storableType(_ dtype: DType, of tensor: StoredTensor) -> DType? { dtype }

  /// What is known of the layers stays known: a graph may have told it.
  package func substituting(_ changed: [String: StoredTensor]) throws -> any CheckpointContent {
    let result = try SafetensorsSet(
      shards: try shards.map { shard in
        Shard(
          fileName: shard.fileName, metadata: shard.metadata,
          tensors: try shard.tensors.map { try changed[$0.name].map(stored) ?? $0 })
      }, isSharded: isSharded, source: source)
    let types = Dictionary(result.layers.map { ($0.name, $0.dtype) }) { first, _ in first }
    return result.with(layers: layers.map { layer in layer.with(dtype: types[layer.name] ?? layer.dtype) })
  }
}
