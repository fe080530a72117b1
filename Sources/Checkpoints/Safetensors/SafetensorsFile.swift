import Basics
import TensorCore

/// A safetensors file as plain tensors and texts, for files that are no checkpoint of layers.
public struct SafetensorsFile: Sendable {
  /// Names are unique.
  public var tensors: [StoredTensor]
  public var metadata: [String: String]

  public init(tensors: [StoredTensor], metadata: [String: String]) {
    self.tensors = tensors
    self.metadata = metadata
  }

  /// - Throws: `Failure` that names the file where it cannot be read.
  public init(path: String) throws {
    let bytes = try InputFile.read(path)
    do {
      let shard = try SafetensorsSet.Shard(fileName: path, parsing: bytes)
      self.init(tensors: shard.tensors, metadata: shard.metadata)
    } catch let failure as Failure {
      throw failure.within(path)
    }
  }

  /// The same content gives the same bytes.
  public func write(to path: String, overwrite: Bool) throws {
    precondition(Set(tensors.map(\.name)).count == tensors.count, "tensors need unique names")
    let shard = SafetensorsSet.Shard(fileName: path, metadata: metadata, tensors: tensors)
    try OutputFile.write(shard.fileBytes(), to: path, overwrite: overwrite)
  }
}

extension Checkpoint {
  /// The texts beside the tensors of a safetensors file that is not sharded; nil for other formats.
  public var metadata: [String: String]? {
    guard case .safetensors(let set) = content, !set.isSharded else { return nil }
    return set.shards[0].metadata
  }
}
