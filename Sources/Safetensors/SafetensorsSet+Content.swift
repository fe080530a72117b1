import Basics
import Checkpoints
import ModelGraph
import TensorCore

extension SafetensorsSet: CheckpointContent {
  var format: any CheckpointFormat.Type { SafetensorsFormat.self }
  var formatName: String { "safetensors" }
  var formatVersion: String? { nil }
  var graph: ModelGraph? { nil }
  var graphAbsence: String? { "a safetensors file holds tensors only, and no graph" }
  var metadata: [String: String]? { isSharded ? nil : shards[0].metadata }
  /// Nobody states it: networks are run in the type of their weights.
  var computedType: DType {
    tensors.lazy.map(\.dtype).filter(\.isCompressible).max { $0.unitRoundoff < $1.unitRoundoff } ?? .f32
  }
  var innerTensors: [InnerTensor] { [] }
  var readers: [String: String] { [:] }
  var missesArchitecture: Bool { false }
  var takesGraph: Bool { true }
  var lendsGraph: Bool { false }

  func layerName(ofKernel tensor: String) -> String? { SafetensorsLayers.layerName(ofKernel: tensor) }

  func architecturePath(besides path: String) -> String? { nil }

  func refusal(of stages: [Stage], for layer: Layer) -> String? {
    stages.convolutions.contains { $0.transposition != nil }
      ? "the loader of the written file has no transposed convolutions" : nil
  }

  var scaleType: DType { RoundedEntry.scaleType }

  var floatTypeBesideIntegers: DType? { .f16 }

  func storage(_ width: BitWidth) -> WeightStorage { .integers(width) }

  func refusal(of storage: WeightStorage, for layer: Layer) -> String? { nil }

  func partNames(replacing replacements: [Replacement]) throws -> [[String]] {
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

  func sharedVectors(of replacement: Replacement) throws -> [IntegerVector] { [] }

  func byteCount(of vector: IntegerVector) throws -> Int {
    preconditionFailure("a safetensors file holds no integers for its layers")
  }

  /// Where a file shrinks, the two offsets of a tensor lose a digit each.
  var sizeSlack: Int { 64 + 8 * layers.count + 2 * tensors.count }

  func byteCount(replacing replacements: [Replacement], record: JSON, at path: String) throws -> Int {
    let nameLength =
      isSharded ? SafetensorsLayout.quotedLength(try Self.shardNames(indexPath: path, count: 1)[0]) : 0
    return try sizes.byteCount(replacements, record: record, shardNameLength: nameLength)
  }

  /// The count is the writer's own.
  func provenByteCount(replacing replacements: [Replacement], record: JSON, at path: String) throws -> Int {
    try byteCount(replacing: replacements, record: record, at: path)
  }

  func write(
    replacing replacements: [Replacement], record: JSON?, to path: String, overwrite: Bool, source: String
  ) throws {
    let result = try Failure.within(source) { try replacing(replacements, record: record) }
    try result.write(to: path, overwrite: overwrite)
  }

  func refusal(of dtype: DType) -> String? { nil }

  func storableType(_ dtype: DType, of tensor: StoredTensor) -> DType? { dtype }

  func substituting(_ changed: [String: StoredTensor]) throws -> any CheckpointContent {
    try SafetensorsSet(
      shards: try shards.map { shard in
        Shard(
          fileName: shard.fileName, metadata: shard.metadata,
          tensors: try shard.tensors.map { try changed[$0.name].map(stored) ?? $0 })
      }, isSharded: isSharded)
  }
}
