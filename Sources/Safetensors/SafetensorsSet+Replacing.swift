import Basics
import Checkpoints
import ModelGraph
import TensorCore

extension SafetensorsSet {
  /// The set with some layers in factored form, named as `SequentialTensor` says. Every other tensor keeps its bytes, and so
  /// does a bias, which only moves. The record goes to the first shard's metadata.
  ///
  /// - Precondition: every replacement has one weight for each of its convolutions, of that convolution's shape.
  /// - Throws: `Failure` for a layer that is not there or may not be replaced, and for a weight that its dtype cannot hold.
  func replacing(_ replacements: [Replacement], record: JSON?) throws -> SafetensorsSet {
    var newTensors: [String: [StoredTensor]] = [:]
    let stored = Dictionary(
      uniqueKeysWithValues: shards.flatMap(\.tensors).map { ($0.name, $0) })
    for (layer, replacement) in try sizes.matched(replacements) {
      let prefix = SafetensorsLayers.prefix(of: layer)
      newTensors[layer.kernel.name] = []
      for tensor in replacement.namedTensors {
        let name = prefix + tensor.suffix
        switch tensor.role {
        case .weight(let index, let shape):
          precondition(
            replacement.weights[index].shape == shape,
            "weight \(index) of '\(layer.name)' has the shape \(replacement.weights[index].shape)")
          let stored =
            switch replacement.storage {
            case .float: [try StoredTensor(name: name, replacement.weights[index], as: layer.dtype, of: layer)]
            case .integers:
              RoundedEntry.stored(
                replacement.rounded[index], name: name, hasScales: replacement.stages.hasScales[index])
            case .levels: preconditionFailure("the format stores widths as integers")
            }
          newTensors[layer.kernel.name, default: []] += stored
        case .bias:
          if let bias = layer.bias, let original = stored[bias.name] {
            newTensors[bias.name] = [original.renamed(name)]
          }
        }
      }
    }
    return try SafetensorsSet(
      shards: shards.enumerated().map { index, shard in
        var metadata = shard.metadata
        metadata[Self.recordKey] = index == 0 ? record?.text() : nil
        return Shard(
          fileName: shard.fileName, metadata: metadata,
          tensors: shard.tensors.flatMap { newTensors[$0.name] ?? [$0] })
      },
      isSharded: isSharded, source: source)
  }
}
